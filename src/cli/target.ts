import { ConnectError, createClient } from "@connectrpc/connect";
import { connectivityState, Client as GrpcClient } from "@grpc/grpc-js";
import { GrpcTransport } from "../client/grpc-transport.ts";
import { toCredentials, toTlsChannelOptions } from "../client/tls.ts";
import { Health } from "../gen/health/v1/health_pb.ts";
import { type Connection, interceptorsOf, unreachable } from "./connection.ts";

/** Time to connect in. */
const CONNECT_MS = 5000;
/** Time for a call that is to fail at once. */
const PROBE_MS = 100;
/** Limit of a call for which none is stated. */
const CALL_MS = 10_000;

/** A connection to any server, over which calls go as they are: none is retried, and none waits for a policy. */
export interface Target extends Disposable {
  readonly transport: GrpcTransport;
}

/**
 * Connects to a server.
 *
 * @throws CommandError if nothing serves there.
 */
export async function openTarget(connection: Connection): Promise<Target> {
  const { address, tls, timeoutMs = CALL_MS } = connection;
  const client = new GrpcClient(address, toCredentials(tls), {
    ...toTlsChannelOptions(tls),
    "grpc.enable_retries": 0,
    "grpc.enable_channelz": 0,
    "grpc.service_config_disable_resolution": 1,
    // Several targets are as many connections.
    "grpc.use_local_subchannel_pool": 1,
  });
  const interceptors = interceptorsOf(connection);
  const transport = new GrpcTransport(client, { timeoutMsOf: () => timeoutMs, interceptors });
  if (!(await isReady(client, Math.min(timeoutMs, CONNECT_MS)))) {
    const reason = await whyUnavailable(transport);
    transport.close();
    throw unreachable(address, reason);
  }
  return { transport, [Symbol.dispose]: () => transport.close() };
}

/**
 * Makes sure that a server is there, before a client of ours waits for it as long as it takes.
 *
 * @throws CommandError if nothing serves there.
 */
export async function reach(connection: Connection): Promise<void> {
  using _ = await openTarget(connection);
}

/** Whether the channel is connected: not if that takes too long, or has failed at all addresses. */
async function isReady(client: GrpcClient, ms: number): Promise<boolean> {
  const channel = client.getChannel();
  const deadline = Date.now() + ms;
  for (;;) {
    const state = channel.getConnectivityState(true);
    if (state === connectivityState.READY) return true;
    // A channel tries for ever, and a user does not.
    if (state === connectivityState.TRANSIENT_FAILURE) return false;
    const changed = await new Promise<boolean>((resolve) => {
      channel.watchConnectivityState(state, deadline, (error) => resolve(error === undefined));
    });
    if (!changed) return false;
  }
}

/** What a call is told that is made now: the state of a channel does not say why. */
async function whyUnavailable(transport: GrpcTransport): Promise<string> {
  const probing = createClient(Health, transport).check({}, { timeoutMs: PROBE_MS });
  return probing.then(
    () => "it took too long to connect",
    (error: unknown) => ConnectError.from(error).rawMessage,
  );
}
