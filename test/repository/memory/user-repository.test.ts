import { MemoryUserRepository } from "../../../src/repository/memory/user-repository.ts";
import { RETENTION } from "../suite/drafts.ts";
import { userRepositoryContract } from "../user-repository-suite.ts";

userRepositoryContract("MemoryUserRepository", async () => new MemoryUserRepository(RETENTION));
