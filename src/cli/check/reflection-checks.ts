import { Code } from "@connectrpc/connect";
import { UserService } from "../../gen/user/v1/user_service_pb.ts";
import { Reflection } from "../reflection.ts";
import { type Check, ensure, failureOf } from "./check.ts";

/** What grpc.reflection tells, in both of its versions: of every service that it lists, all its methods and types. */
export const REFLECTION_CHECKS: readonly Check[] = (["v1", "v1alpha"] as const).flatMap((version) => [
  {
    group: "reflection",
    name: `${version} lists the services, and describes each`,
    async run({ anonymous }) {
      const reflection = new Reflection(anonymous, version);
      const services = await reflection.services();
      ensure(services.length > 0, "it lists no service");
      for (const service of services) {
        const found = (await reflection.describe(service)).getService(service);
        ensure(found !== undefined, `the file of ${service} does not declare it`);
      }
    },
  } satisfies Check,
  {
    group: "reflection",
    name: `${version} answers NOT_FOUND for a name that does not exist`,
    async run({ anonymous }) {
      await failureOf(new Reflection(anonymous, version).describe("no.such.Name"), Code.NotFound);
    },
  } satisfies Check,
]);

/** What it tells of our service besides. */
export const OWN_REFLECTION_CHECKS: readonly Check[] = (["v1", "v1alpha"] as const).map((version) => ({
  group: "reflection",
  name: `${version} describes ${UserService.typeName} as this client knows it`,
  run: ({ anonymous }) => compare(new Reflection(anonymous, version)),
}));

async function compare(reflection: Reflection): Promise<void> {
  const told = (await reflection.describe(UserService.typeName)).getService(UserService.typeName);
  for (const { name, methodKind, input, output } of UserService.methods) {
    const method = told?.methods.find((each) => each.name === name);
    ensure(method !== undefined, `there is no method ${name}`);
    ensure(
      method.methodKind === methodKind &&
        method.input.typeName === input.typeName &&
        method.output.typeName === output.typeName,
      `${name} is not what this client knows`,
    );
  }
}
