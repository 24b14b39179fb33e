import { MemoryPresences } from "../../../src/repository/memory/presences.ts";
import { presencesContract } from "../presences-suite.ts";

presencesContract("MemoryPresences", async () => new MemoryPresences());
