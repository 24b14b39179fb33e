/**
 * What everybody builds first, and what this service is measured against: grpc-js with proto-loader, callbacks, no
 * interceptors, no checks. Serves the primary contract. Prints its port once it listens.
 */
import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import {
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServiceClientConstructor,
  status,
} from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

interface User {
  id: string;
  email: string;
  name: string;
  created_at: { seconds: number; nanos: number };
  role: string;
}

const users = new Map<string, User>();

function create({ email, name }: { email: string; name: string }): string {
  const now = Date.now();
  const created_at = { seconds: Math.floor(now / 1000), nanos: (now % 1000) * 1e6 };
  const user = { id: randomUUID(), email, name, created_at, role: "USER_ROLE_USER" };
  users.set(user.id, user);
  return user.id;
}

const getUser: handleUnaryCall<{ id: string }, { user: User }> = (call, callback) => {
  const user = users.get(call.request.id);
  if (user === undefined) callback({ code: status.NOT_FOUND, details: "not found" });
  else callback(null, { user });
};

const listUsers: handleServerStreamingCall<{ page_size: number }, User> = (call) => {
  let left = call.request.page_size;
  for (const user of users.values()) {
    if (left-- <= 0) break;
    call.write(user);
  }
  call.end();
};

type Created = { user_ids: string[]; created_count: number };
const createUsers: handleClientStreamingCall<{ email: string; name: string }, Created> = (call, callback) => {
  const user_ids: string[] = [];
  call.on("data", (request) => user_ids.push(create(request)));
  call.on("end", () => callback(null, { user_ids, created_count: user_ids.length }));
};

type ChatMessage = { user_id: string; message: string; timestamp: unknown };
const chat: handleBidiStreamingCall<ChatMessage, ChatMessage> = (call) => {
  call.on("data", ({ message, timestamp }) =>
    call.write({ user_id: "server", message: `Echo: ${message}`, timestamp }),
  );
  call.on("end", () => call.end());
};

const proto = fileURLToPath(new URL("../test/primary/user/v1/user.proto", import.meta.url));
const loaded = loadPackageDefinition(loadSync(proto, { keepCase: true, longs: Number, enums: String, defaults: true }));
// proto-loader types nothing that it loads.
const { UserService } = (loaded as unknown as { user: { v1: Record<"UserService", ServiceClientConstructor> } }).user
  .v1;

const server = new Server();
server.addService(UserService.service, { getUser, listUsers, createUsers, chat });
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error) throw error;
  process.stdout.write(`${JSON.stringify({ port })}\n`);
});
