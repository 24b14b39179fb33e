import type { UserRepository } from "../../src/repository/user-repository.ts";
import { changesContract } from "./suite/changes.ts";
import { creationRequestsContract } from "./suite/creation-requests.ts";
import { creationsContract } from "./suite/creations.ts";
import { deletionsContract } from "./suite/deletions.ts";
import { pagesAsOfContract } from "./suite/pages-as-of.ts";
import { readsContract } from "./suite/reads.ts";
import { takenKeysContract } from "./suite/taken-keys.ts";
import { updatesContract } from "./suite/updates.ts";

/**
 * Holds an adapter to the contract of UserRepository: one test per promise. `create` makes an empty repository, and
 * releases what it holds by itself after the test.
 */
export function userRepositoryContract(name: string, create: () => Promise<UserRepository>): void {
  readsContract(name, create);
  creationsContract(name, create);
  takenKeysContract(name, create);
  creationRequestsContract(name, create);
  updatesContract(name, create);
  deletionsContract(name, create);
  changesContract(name, create);
  pagesAsOfContract(name, create);
}
