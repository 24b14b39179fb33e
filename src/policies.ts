import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { pathOf } from "./contract/path.ts";
import { type CallPolicy, DEFAULT_MAX_REQUEST_BYTES, readPolicies } from "./contract/policy.ts";
import { ServerReflection } from "./gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "./gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { Health } from "./gen/health/v1/health_pb.ts";
import { Access } from "./gen/policy/v1/policy_pb.ts";

/** What methods without a policy get, should one ever be served: nobody is let in. */
const CLOSED: CallPolicy = {
  access: Access.UNSPECIFIED,
  defaultDeadlineMs: 1000,
  longestDeadlineMs: 1000,
  maxRequestBytes: DEFAULT_MAX_REQUEST_BYTES,
};

const ANSWERING: CallPolicy = {
  access: Access.PUBLIC,
  defaultDeadlineMs: 5000,
  longestDeadlineMs: 60_000,
  maxRequestBytes: DEFAULT_MAX_REQUEST_BYTES,
};
const LIVING: CallPolicy = {
  ...ANSWERING,
  defaultDeadlineMs: Number.POSITIVE_INFINITY,
  longestDeadlineMs: Number.POSITIVE_INFINITY,
};

/** The policies of services whose contract is not ours and states none. */
const FOREIGN_POLICIES: ReadonlyMap<DescMethod, CallPolicy> = new Map<DescMethod, CallPolicy>([
  [Health.method.check, ANSWERING],
  [Health.method.list, ANSWERING],
  [Health.method.watch, LIVING],
  [ServerReflection.method.serverReflectionInfo, LIVING],
  [ServerReflectionAlpha.method.serverReflectionInfo, LIVING],
]);

/** An overloaded server that is killed because it does not answer its probes leaves the others with more to do. */
const PROBES: ReadonlySet<string> = new Set([pathOf(Health.method.check), pathOf(Health.method.list)]);

/** The policies of all methods that a server has: of its own services, of health and of reflection. */
export class Policies {
  readonly #byPath: ReadonlyMap<string, CallPolicy>;

  /** @throws Error if a method of these services states no policy. */
  constructor(services: readonly DescService[]) {
    const all = [...readPolicies(services), ...FOREIGN_POLICIES];
    this.#byPath = new Map(all.map(([method, policy]) => [pathOf(method), policy]));
  }

  /** The policy of the method with a path. */
  readonly of = (path: string): CallPolicy => this.#byPath.get(path) ?? CLOSED;

  /** Whether the streams of a method live until someone ends them. */
  readonly isLive = (path: string): boolean => this.of(path).longestDeadlineMs === Number.POSITIVE_INFINITY;

  /** Whether the method with a path is one by which others ask how the server is. */
  readonly isProbe = (path: string): boolean => PROBES.has(path);

  /** Milliseconds that the longest call with a deadline takes. */
  get longestCallMs(): number {
    return Math.max(...this.#all.map(({ longestDeadlineMs: ms }) => ms).filter(Number.isFinite));
  }

  /** The size of the largest request message, in bytes. */
  get maxRequestBytes(): number {
    return Math.max(...this.#all.map(({ maxRequestBytes }) => maxRequestBytes));
  }

  get #all(): CallPolicy[] {
    return [...this.#byPath.values()];
  }
}
