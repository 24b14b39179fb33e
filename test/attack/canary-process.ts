/**
 * A client that is no part of the attack, in a process of its own: it calls every ten milliseconds, whatever became of the
 * calls before, and tries nothing again. Its parent sends it a number: as soon as so many calls have been made since the
 * last time, and are over, it sends back what became of them.
 */
import { create, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { GetUserRequestSchema, ListUsersPageRequestSchema } from "../../src/gen/user/v1/user_service_pb.ts";
import type { CanaryTask, Lap } from "./canary.ts";

const INTERVAL_MS = 10;
/** Generous: a canary asks whether the server answers. How fast, its figures tell. */
const DEADLINE_MS = 5000;
/** One call in so many is a small ListUsersPage. */
const PAGE_EVERY = 10;

const task = JSON.parse(process.argv[2] ?? "") as CanaryTask;
const channel = task.ca === undefined ? credentials.createInsecure() : credentials.createSsl(Buffer.from(task.ca));
const client = new Client(`127.0.0.1:${task.port}`, channel, {
  "grpc.enable_retries": 0,
  ...(task.ca !== undefined && { "grpc.ssl_target_name_override": "localhost" }),
});
const metadata = new Metadata();
metadata.set("authorization", `Bearer ${task.token}`);

const getUser = Buffer.from(toBinary(GetUserRequestSchema, create(GetUserRequestSchema, { id: task.userId })));
const listPage = Buffer.from(toBinary(ListUsersPageRequestSchema, create(ListUsersPageRequestSchema, { pageSize: 5 })));

/** What has become of the calls of a lap. */
class Tally {
  started = 0;
  readonly latenciesMs: number[] = [];
  readonly failures: string[] = [];
  /** How many calls are to be made before it is sent; undefined as long as nobody asks. */
  wanted: number | undefined;

  get isOver(): boolean {
    return this.started === this.latenciesMs.length + this.failures.length;
  }
}

let tally = new Tally();
let calls = 0;

function call(): void {
  const own = tally;
  own.started++;
  const isPage = ++calls % PAGE_EVERY === 0;
  const started = performance.now();
  const path = isPage ? "/user.v1.UserService/ListUsersPage" : "/user.v1.UserService/GetUser";
  const options = { deadline: Date.now() + DEADLINE_MS };
  const onEnd = (error: ServiceError | null) => {
    if (error === null) own.latenciesMs.push(performance.now() - started);
    else own.failures.push(`${status[error.code]}: ${error.details}`);
    sendIfOver(own);
  };
  client.makeUnaryRequest(path, identity, identity, isPage ? listPage : getUser, metadata, options, onEnd);
  if (own.wanted !== undefined && own.started >= own.wanted) tally = new Tally();
}

function sendIfOver(own: Tally): void {
  if (own === tally || !own.isOver) return;
  const lap: Lap = { latenciesMs: own.latenciesMs, failures: own.failures };
  process.send?.(lap);
}

function identity(bytes: Buffer): Buffer {
  return bytes;
}

process.on("message", (wanted: number) => {
  tally.wanted = wanted;
  if (tally.started < wanted) return;
  const own = tally;
  tally = new Tally();
  sendIfOver(own);
});
// Its end is that of its parent, at the latest.
process.on("disconnect", () => process.exit());
setInterval(call, INTERVAL_MS);
