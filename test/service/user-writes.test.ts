import { create } from "@bufbuild/protobuf";
import { createContextValues, type HandlerContext } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { UsersTooLargeError } from "../../src/domain/errors.ts";
import { CreateUserRequestSchema } from "../../src/gen/user/v1/user_service_pb.ts";
import { MemoryUserRepository } from "../../src/repository/memory/user-repository.ts";
import { principalKey } from "../../src/service/call-values.ts";
import { CreationRequests } from "../../src/service/creation-requests.ts";
import { createUserWrites } from "../../src/service/user-writes.ts";
import { RETENTION } from "../repository/suite/drafts.ts";
import { ADMIN } from "../support/server.ts";

const CONTEXT = {
  values: createContextValues().set(principalKey, ADMIN),
  signal: new AbortController().signal,
} as HandlerContext;

describe("CreateUsers", () => {
  it("refuses users that take too much memory together, and creates none of them", async () => {
    const repository = new MemoryUserRepository(RETENTION);
    const creationRequests = new CreationRequests(() => new Uint8Array(32));
    const { createUsers } = createUserWrites({ repository, creationRequests, maxUsersPerCall: 10_000 });
    const profile = { bio: "x".repeat(16_384) };
    let taken = 0;
    async function* requests() {
      for (; ; taken++)
        yield create(CreateUserRequestSchema, { email: `user${taken}@example.com`, name: "User", profile });
    }
    await expect(createUsers(requests(), CONTEXT)).rejects.toThrow(UsersTooLargeError);
    expect(taken).toBeGreaterThan(2000);
    expect(await repository.list({ after: undefined, limit: 1 })).toEqual([]);
  });
});
