import { MemoryImports } from "../../../src/repository/memory/imports.ts";
import { MemoryUserRepository } from "../../../src/repository/memory/user-repository.ts";
import { importsContract } from "../imports-suite.ts";
import { RETENTION } from "../suite/drafts.ts";

importsContract("MemoryImports", async () => {
  const users = new MemoryUserRepository(RETENTION);
  return { users, imports: new MemoryImports(users) };
});
