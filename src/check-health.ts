import { readFileSync } from "node:fs";
import { connect } from "node:tls";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type ChannelCredentials, Client, credentials } from "@grpc/grpc-js";
import { parseConfig } from "./config.ts";
import { pathOf } from "./contract/path.ts";
import {
  Health,
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "./gen/health/v1/health_pb.ts";
import { toAddress } from "./grpc/listener.ts";

const TIMEOUT_MS = 2000;

/** What a server says that wants a client certificate (RFC 8446, section 6.2). */
const CERTIFICATE_REQUIRED = "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED";

/** Where a client on the same machine finds who listens on every address. */
const LOOPBACK = new Map([
  ["0.0.0.0", "127.0.0.1"],
  ["::", "::1"],
]);

/**
 * Asks the service that runs with this environment, and tells why it is not healthy; undefined if it is. Rejects if the
 * configuration is wrong. The files of TLS are no part of what is checked: while new ones are half written, the service
 * goes on with the last.
 */
export async function checkHealth({
  TLS_CERT_FILE,
  TLS_KEY_FILE,
  TLS_CLIENT_CA_FILE,
  ...environment
}: NodeJS.ProcessEnv): Promise<string | undefined> {
  const { host, port } = parseConfig(environment, []);
  const local = { host: LOOPBACK.get(host) ?? host, port };
  const address = toAddress(local.host, port);
  const answer = await ask(address, { TLS_CERT_FILE, TLS_KEY_FILE, TLS_CLIENT_CA_FILE });
  if (answer === ServingStatus.SERVING) return undefined;
  // Its own certificate may not be good for a client. Then all that can be known is that it does handshakes.
  if (answer instanceof Error && TLS_CLIENT_CA_FILE && (await wantsCertificate(local))) return undefined;
  return `${address}: ${answer instanceof Error ? answer.message : "not serving"}`;
}

/** The variables that name the files of TLS, where they are set. */
interface TlsFiles {
  readonly TLS_CERT_FILE: string | undefined;
  readonly TLS_KEY_FILE: string | undefined;
  readonly TLS_CLIENT_CA_FILE: string | undefined;
}

function ask(address: string, files: TlsFiles): Promise<ServingStatus | Error> {
  const client = new Client(address, secureOrNot(files), {
    // A proxy that the environment names leads to other machines.
    "grpc.enable_http_proxy": 0,
    // An IP address is no name of a server (RFC 6066).
    ...(files.TLS_CERT_FILE && { "grpc.ssl_target_name_override": "localhost" }),
  });
  return new Promise((resolve) => {
    client.makeUnaryRequest(
      pathOf(Health.method.check),
      (request) => Buffer.from(toBinary(HealthCheckRequestSchema, request)),
      (bytes) => fromBinary(HealthCheckResponseSchema, bytes),
      create(HealthCheckRequestSchema),
      { deadline: Date.now() + TIMEOUT_MS },
      (error, response) => {
        client.close();
        resolve(response?.status ?? error ?? ServingStatus.UNKNOWN);
      },
    );
  });
}

/** The service is known by its address on this machine: its certificate is for those who come from elsewhere. */
function secureOrNot({ TLS_CERT_FILE, TLS_KEY_FILE, TLS_CLIENT_CA_FILE }: TlsFiles): ChannelCredentials {
  if (!TLS_CERT_FILE) return credentials.createInsecure();
  const trusting = { rejectUnauthorized: false };
  if (!TLS_CLIENT_CA_FILE) return credentials.createSsl(null, null, null, trusting);
  try {
    const [cert, key] = [readFileSync(TLS_CERT_FILE), readFileSync(TLS_KEY_FILE ?? "")];
    return credentials.createSsl(null, key, cert, trusting);
  } catch {
    return credentials.createSsl(null, null, null, trusting);
  }
}

function wantsCertificate({ host, port }: { host: string; port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const options = { host, port, rejectUnauthorized: false, ALPNProtocols: ["h2"], minVersion: "TLSv1.3" } as const;
    const socket = connect(options).setTimeout(TIMEOUT_MS, () => socket.destroy());
    let wanted = false;
    socket.on("error", (error: NodeJS.ErrnoException) => {
      wanted = error.code === CERTIFICATE_REQUIRED;
    });
    socket.on("close", () => resolve(wanted)).resume();
  });
}
