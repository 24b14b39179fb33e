import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { UserService } from "../../src/gen/user/v1/user_service_pb.ts";
import { runScript } from "../support/script.ts";
import { ADMIN, startTestServer, tokenFor, userClient } from "../support/server.ts";

it("the example in TypeScript calls every RPC, prints what is written down, and leaves nobody behind", async () => {
  const server = await startTestServer();
  // Somebody who is none of the example's business.
  await userClient(server).createUser({ email: "somebody@example.com", name: "Somebody" });
  const environment = { ADDRESS: server.address, TOKEN: await tokenFor(ADMIN) };
  const { code, stdout, stderr } = await runScript("../examples/typescript/tour.ts", [], environment);
  expect([code, stderr]).toEqual([0, ""]);
  expect(stdout).toBe(readFileSync("examples/tour.txt", "utf8"));
  for (const { name } of UserService.methods) expect(stdout).toMatch(new RegExp(`^${name}$`, "m"));
  expect((await userClient(server).listUsersPage({})).users.map(({ name }) => name)).toEqual(["Somebody"]);
});
