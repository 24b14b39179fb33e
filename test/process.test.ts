import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { Code, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { Health } from "../src/gen/health/v1/health_pb.ts";
import { UserService } from "../src/gen/user/v1/user_service_pb.ts";
import { freshDatabase } from "./support/database.ts";
import { failureOf } from "./support/errors.ts";
import { startProcess } from "./support/process.ts";
import { ADMIN, JWT_SECRET, streamOf, tokenFor } from "./support/server.ts";

const COMMAND_LINE = fileURLToPath(new URL("../src/cli/user-service.ts", import.meta.url));

function transport(port: number, token = "") {
  const authorize: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  return createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}`, interceptors: [authorize] });
}

/** The token that the banner offers, as soon as it is printed. */
async function bannerToken({ child, stderr }: ReturnType<typeof startProcess>): Promise<string> {
  for (;;) {
    const token = /TOKEN=(\S+)\n/.exec(stderr())?.[1];
    if (token !== undefined) return token;
    await once(child.stderr, "data");
  }
}

describe("the process", () => {
  it("prints where users are kept, and a token that makes the reader an admin, which it never logs; stops on SIGINT", async () => {
    const service = startProcess({});
    const port = await service.port;
    const token = await bannerToken(service);
    const client = createClient(UserService, transport(port, token));
    const { userIds } = await client.createUsers(streamOf({ email: "ada@example.com", name: "Ada" }));
    expect((await client.getUser({ id: userIds[0] ?? "" })).user?.name).toBe("Ada");
    expect(service.stderr()).toContain(`localhost:${port}`);
    expect(service.stderr()).toContain("from memory.");
    service.child.kill("SIGINT");
    expect(await service.exit).toBe(0);
    expect(service.stdout.join()).not.toContain(token);
  });

  it("stops on SIGTERM with streams and a health watcher open", async () => {
    // Flags count before the environment, and where a key is configured there is no banner.
    const service = startProcess({ PORT: "99999", JWT_SECRET, NODE_ENV: "production" }, ["--port", "0"]);
    const to = transport(await service.port, await tokenFor(ADMIN));
    const watch = createClient(Health, to).watch({})[Symbol.asyncIterator]();
    await watch.next();
    async function* talk() {
      yield { message: "hello" };
      await new Promise(() => {});
    }
    const answers = createClient(UserService, to).chat(talk())[Symbol.asyncIterator]();
    await answers.next();

    service.child.kill("SIGTERM");
    await watch.next();
    expect(await failureOf(watch.next())).toMatchObject({ code: Code[Code.Unavailable] });
    expect(await failureOf(answers.next())).toMatchObject({ code: Code[Code.Unavailable] });
    expect(await service.exit).toBe(0);
    expect(service.stdout.map((line) => JSON.parse(line).msg).at(-1)).toBe("stopped");
    expect(service.stderr()).toBe("");
  });

  it("says in the banner that users are kept in a database, and exits at once on a second signal", async () => {
    const service = startProcess({ DATABASE_URL: await freshDatabase(), SHUTDOWN_DELAY: "60m" });
    await bannerToken(service);
    expect(service.stderr()).toContain("from PostgreSQL.");
    service.child.kill("SIGTERM");
    const again = setInterval(() => service.child.kill("SIGTERM"), 20);
    expect(await service.exit).toBe(1);
    clearInterval(again);
  });

  it.each([
    { how: "npm start", flags: [], script: undefined },
    { how: "user-service serve", flags: ["serve"], script: COMMAND_LINE },
  ])("exits with 78 and lists every fault when the configuration is wrong, by $how", async ({ flags, script }) => {
    const environment = { PORT: "0", LOG_LEVEL: "loud", JWT_SECRET: "too short" };
    const service = startProcess(environment, [...flags, "--port", "99999"], script);
    expect(await service.exit).toBe(78);
    expect(service.stderr()).toBe(
      [
        "The configuration is wrong:",
        '  PORT="99999": must be a whole number from 0 to 65535',
        "  JWT_SECRET: must be at least 32 bytes",
        '  LOG_LEVEL="loud": must be trace, debug, info, warn, error, fatal, silent',
        "",
      ].join("\n"),
    );
  });

  it("says so when the port is in use", async () => {
    const squatter = createServer().listen(0, "127.0.0.1");
    await once(squatter, "listening");
    const { port } = squatter.address() as AddressInfo;
    const service = startProcess({ PORT: String(port) });
    expect(await service.exit).toBe(69);
    const address = `127.0.0.1:${port}`;
    expect(service.stderr()).toBe(
      `cannot listen on ${address}: listen EADDRINUSE: address already in use ${address}\n`,
    );
    squatter.close();
  });
});
