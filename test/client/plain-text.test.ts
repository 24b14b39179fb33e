import { describe, expect, it } from "vitest";
import { staysLocal } from "../../src/client/plain-text.ts";
import { createUserClient } from "../../src/client/user-client.ts";

describe("staysLocal", () => {
  it.each([
    "localhost:50051",
    "LOCALHOST",
    "127.0.0.1:50051",
    "127.9.9.9",
    "[::1]:50051",
    "dns:localhost:50051",
    "dns:///127.0.0.1:50051",
    "dns://8.8.8.8/localhost:50051",
    "ipv4:127.0.0.1:1,127.0.0.2:2",
    "ipv6:[::1]:50051",
    "unix:/run/users.sock",
    "unix-abstract:users",
  ])("is true of %s", (target) => {
    expect(staysLocal(target)).toBe(true);
  });

  it.each([
    "users:50051",
    "dns:///users.example.com",
    "localhost.example.com:50051",
    "127.0.0.1.example.com",
    "10.0.0.1:50051",
    "ipv4:127.0.0.1:1,10.0.0.1:1",
    "dns://localhost/users:50051",
    "[::2]:1",
    "xds:///localhost",
    "",
  ])("is false of %j", (target) => {
    expect(staysLocal(target)).toBe(false);
  });
});

describe("a token", () => {
  it("leaves this machine in plain text only where that is said", () => {
    const address = "users.example.com:50051";
    expect(() => createUserClient(address, { token: "a" })).toThrow("in plain text");
    createUserClient(address).close();
    createUserClient(address, { token: "a", tls: true }).close();
    createUserClient(address, { token: "a", tls: false }).close();
    createUserClient("localhost:50051", { token: "a" }).close();
  });
});
