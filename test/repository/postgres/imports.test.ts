import { testStores } from "../../support/store.ts";
import { importsContract } from "../imports-suite.ts";

importsContract("PostgresImports", testStores());
