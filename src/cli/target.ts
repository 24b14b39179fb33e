import { connectivityState, Client as GrpcClient } from "@grpc/grpc-js";
import { GrpcTransport } from "../client/grpc-transport.ts";
import { toCredentials, toTlsChannelOptions } from "../client/tls.ts";
import { EX_UNAVAILABLE } from "../exit-codes.ts";
import { CommandError } from "./command.ts";
import { type Connection, interceptorsOf } from "./connection.ts";

/** Time to connect in. */
const CONNECT_MS = 5000;
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
  try {
    await ready(client, Math.min(timeoutMs, CONNECT_MS));
  } catch {
    transport.close();
    throw new CommandError(EX_UNAVAILABLE, `Nothing serves at ${address}. Start it with: npm start`);
  }
  return { transport, [Symbol.dispose]: () => transport.close() };
}

/** Resolves when the channel is connected; rejects when that takes too long, or has failed at all addresses. */
async function ready(client: GrpcClient, ms: number): Promise<void> {
  const channel = client.getChannel();
  const deadline = Date.now() + ms;
  for (;;) {
    const state = channel.getConnectivityState(true);
    if (state === connectivityState.READY) return;
    // A channel tries for ever, and a user does not.
    if (state === connectivityState.TRANSIENT_FAILURE) throw new Error("no address answers");
    await new Promise<void>((resolve, reject) => {
      channel.watchConnectivityState(state, deadline, (error) => (error === undefined ? resolve() : reject(error)));
    });
  }
}
