import { randomBytes } from "node:crypto";
import type { DescService } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import type { Server } from "@grpc/grpc-js";
import type { Logger } from "pino";
import type { Bus } from "./bus/bus.ts";
import { InProcessBus } from "./bus/in-process-bus.ts";
import { PostgresBus } from "./bus/postgres-bus.ts";
import type { Config, DatabaseConfig } from "./config.ts";
import { UserService } from "./gen/user/v1/user_service_pb.ts";
import { type MountOptions, mount } from "./grpc/mount.ts";
import { Readiness } from "./readiness.ts";
import type { ChatRooms } from "./repository/chat-rooms.ts";
import { type Documents, OPERATION_RETENTION } from "./repository/documents.ts";
import type { Imports } from "./repository/imports.ts";
import { MemoryChatRooms } from "./repository/memory/chat-rooms.ts";
import { MemoryDocuments } from "./repository/memory/documents.ts";
import { MemoryImports } from "./repository/memory/imports.ts";
import { MemoryPresences } from "./repository/memory/presences.ts";
import { MemoryUserRepository } from "./repository/memory/user-repository.ts";
import { openStore } from "./repository/postgres/store.ts";
import type { Presences } from "./repository/presences.ts";
import type { UserRepository } from "./repository/user-repository.ts";
import { announcing } from "./service/announced-users.ts";
import { CHANGES_TOPIC } from "./service/change-feed.ts";
import { Rooms } from "./service/chat/rooms.ts";
import { CreationRequests } from "./service/creation-requests.ts";
import type { KeySource } from "./service/mac.ts";
import { PresenceKeeper } from "./service/presence-keeper.ts";
import { pageTokens, resumeTokens } from "./service/sealed-tokens.ts";
import { Suspensions } from "./service/suspensions.ts";
import { createUploadIdentity } from "./service/upload/upload-identity.ts";
import { UserChanges } from "./service/user-changes.ts";
import { createUserService } from "./service/user-service.ts";

/** A service and what serves it. */
export interface ServedService {
  readonly service: DescService;
  mountOn(server: Server, options: MountOptions): void;
}

/** Pairs a service of the contract with its implementation. */
export function served<S extends DescService>(service: S, implementation: ServiceImpl<S>): ServedService {
  return { service, mountOn: (server, options) => mount(server, service, implementation, options) };
}

/** What a server is made for. */
export interface Application {
  readonly services: readonly ServedService[];
  /** Whether the user with this id may not call. */
  isSuspended(userId: string): boolean | Promise<boolean>;
  /**
   * Calls `onSuspended` when the user with this id may no longer call, never at once. Returns a function that ends
   * this.
   */
  watchSuspension(userId: string, onSuspended: () => void): () => void;
  /** Whether calls can be served: what they need is there. */
  readonly readiness: Readiness;
  /** Lets go of what calls need. There are none any more. */
  close(): Promise<void>;
}

/** The application that this project is about. */
export function userApplication(config: Config, logger: Logger): Application {
  const storage = config.database === undefined ? inMemory(config) : inPostgres(config.database, config, logger);
  const { bus, sharedKey, readiness } = storage;
  const presences = new PresenceKeeper(storage.presences, bus);
  const announce = () => bus.publish(CHANGES_TOPIC);
  const users = announcing(storage.users, announce);
  const configured = config.pageTokenKey;
  const key = configured === undefined ? sharedKey : () => configured;
  const userChanges = new UserChanges(users.changes, bus);
  const suspensions = new Suspensions(userChanges, (userId) => users.isSuspended(userId));
  const service = createUserService({
    repository: users,
    userChanges,
    pageTokens: pageTokens(key),
    // Of the storage, because another log of changes has other revisions.
    resumeTokens: resumeTokens(sharedKey),
    bus,
    documents: storage.documents,
    presences,
    rooms: new Rooms(storage.rooms, presences, bus),
    authenticates: config.authentication !== undefined,
    creationRequests: new CreationRequests(key),
    maxUsersPerCall: config.maxUsersPerCall,
    imports: storage.imports,
    identifyUpload: createUploadIdentity(sharedKey),
    spooling: config.spooling,
    announce,
  });
  return {
    services: [served(UserService, service)],
    isSuspended: (userId) => users.isSuspended(userId),
    watchSuspension: (userId, onSuspended) => suspensions.watch(userId, onSuspended),
    readiness,
    async close() {
      await presences.close();
      await storage.close();
    },
  };
}

/** Where things are kept. */
interface Storage extends Pick<Application, "readiness" | "close"> {
  readonly users: UserRepository;
  readonly rooms: ChatRooms;
  readonly presences: Presences;
  readonly documents: Documents;
  readonly imports: Imports;
  /** Between the replicas that share the storage. */
  readonly bus: Bus;
  /** A key that all replicas with the same storage have. */
  readonly sharedKey: KeySource;
}

function inMemory({ changeRetention, chatRetention }: Config): Storage {
  const key = randomBytes(32);
  const users = new MemoryUserRepository(changeRetention);
  const rooms = new MemoryChatRooms(chatRetention);
  users.onDeleted((userId) => rooms.erase(userId));
  return {
    users,
    rooms,
    presences: new MemoryPresences(),
    documents: new MemoryDocuments(users, OPERATION_RETENTION),
    imports: new MemoryImports(users),
    bus: new InProcessBus(),
    sharedKey: () => key,
    readiness: new Readiness(true),
    close: async () => {},
  };
}

function inPostgres(database: DatabaseConfig, config: Config, logger: Logger): Storage {
  const readiness = new Readiness(false);
  let reported = "";
  const store = openStore(
    { ...database, retention: config.changeRetention, chatRetention: config.chatRetention },
    {
      onFound() {
        reported = "";
        logger.info("database found");
        readiness.set(true);
      },
      onLost(cause) {
        readiness.set(false);
        // Every attempt to reach it tells again what the matter is.
        if (String(cause) !== reported) logger.error({ err: cause }, "database not available");
        reported = String(cause);
      },
      onUpkeepFailed(cause) {
        logger.error({ err: cause }, "upkeep of the database failed");
      },
    },
  );
  const bus = new PostgresBus(database.url);
  return {
    users: store.users,
    rooms: store.rooms,
    presences: store.presences,
    documents: store.documents,
    imports: store.imports,
    bus,
    sharedKey: store.sharedKey,
    readiness,
    close: async () => void (await Promise.all([bus.close(), store.close()])),
  };
}
