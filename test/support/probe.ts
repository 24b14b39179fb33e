import { type Client, createClient, type ServiceImpl } from "@connectrpc/connect";
import { served } from "../../src/application.ts";
import type { Principal } from "../../src/domain/principal.ts";
import { ProbeService } from "../gen/probe/v1/probe_pb.ts";
import { startTestServer, type TestServer, type TestServerOptions, transportTo } from "./server.ts";

/** What the probe's methods do unless a test says otherwise. */
const DEFAULTS: ServiceImpl<typeof ProbeService> = {
  public: async ({ text }) => ({ text }),
  self: async ({ user }) => ({ text: user?.id ?? "" }),
  async selfStream(requests) {
    const ids = await Array.fromAsync(requests, ({ user }) => user?.id);
    return { text: ids.join(",") };
  },
  brief: async ({ text }) => ({ text }),
  async *produce({ number }) {
    for (let index = 0; index < number; index++) yield { text: String(index) };
  },
  async collect(requests) {
    const texts = await Array.fromAsync(requests, ({ text }) => text);
    return { text: texts.join(",") };
  },
  async *converse(requests) {
    for await (const { text } of requests) yield { text };
  },
};

/** Starts a server of the probe service, some methods of which do what the test wants. */
export function startProbe(
  methods: Partial<ServiceImpl<typeof ProbeService>> = {},
  options: Omit<TestServerOptions, "services"> = {},
): Promise<TestServer> {
  return startTestServer({ ...options, services: [served(ProbeService, { ...DEFAULTS, ...methods })] });
}

/** A client of the probe service, as `principal`, or as nobody. */
export function probeClient(server: TestServer, principal?: Principal): Client<typeof ProbeService> {
  return createClient(ProbeService, transportTo(server, principal ?? null));
}
