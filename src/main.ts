import { Buffer } from "node:buffer";
import { logVerbosity, setLogVerbosity } from "@grpc/grpc-js";
import { signingOptions } from "./authentication-config.ts";
import { type BannerFacts, banner } from "./banner.ts";
import { type Config, ConfigError, parseConfig } from "./config.ts";
import { EX_CONFIG, EX_UNAVAILABLE, fail } from "./exit-codes.ts";
import { ListenError } from "./grpc/listener.ts";
import { signToken } from "./interceptors/token.ts";
import { createLogger, type ProcessLogger } from "./logger.ts";
import { type RunningServer, startServer } from "./server.ts";

/** A signal so soon after the first is the same one: npm passes on a Ctrl-C that the terminal has sent to all. */
const SAME_SIGNAL_MS = 200;

const SECONDS_PER_DAY = 86_400;

// What waits for a client that does not read keeps the slab alive that it was cut from: half as large a slab, half the
// memory.
Buffer.poolSize = 32 * 1024;

// What grpc-js would write to stderr, this process says itself. GRPC_VERBOSITY brings it back for debugging.
if (process.env.GRPC_VERBOSITY === undefined) setLogVerbosity(logVerbosity.NONE);

try {
  await run(parseConfig(process.env, process.argv.slice(2)));
} catch (error) {
  if (error instanceof ConfigError) fail(EX_CONFIG, ["The configuration is wrong:", ...error.faults].join("\n  "));
  else if (error instanceof ListenError) fail(EX_UNAVAILABLE, error.message);
  else throw error;
}

async function run(config: Config): Promise<void> {
  const log = createLogger(config);
  const starting = startServer(config, log.logger);
  stopOnSignals(starting, log);
  const server = await starting;
  const tls = tlsOf(config);
  const { port, httpPort } = server;
  log.logger.info(
    { host: config.host, port, ...(httpPort !== undefined && { http_port: httpPort }), tls },
    "listening",
  );
  const tokens = config.authentication?.tokens;
  const signing = tokens?.ephemeral ? signingOptions(tokens) : undefined;
  if (signing !== undefined) {
    const token = await signToken(signing, { id: "developer", role: "admin" }, SECONDS_PER_DAY);
    const storage = config.database === undefined ? "memory" : "PostgreSQL";
    process.stderr.write(banner({ port, httpPort, token, storage, tls }));
  }
}

function tlsOf({ tls }: Config): BannerFacts["tls"] {
  if (tls === undefined) return "off";
  return tls.identity.requiresClientCertificate ? "mutual" : "server";
}

/** Stops gracefully on the first signal, and exits at once on the next. */
function stopOnSignals(starting: Promise<RunningServer>, log: ProcessLogger): void {
  let stoppingSince: number | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stoppingSince === undefined) {
      stoppingSince = performance.now();
      void stop(signal, starting, log);
    } else if (performance.now() - stoppingSince > SAME_SIGNAL_MS) {
      process.exit(1);
    }
  };
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
}

async function stop(signal: NodeJS.Signals, starting: Promise<RunningServer>, log: ProcessLogger): Promise<void> {
  log.logger.info({ signal }, "stopping");
  // If the start fails, run() says why.
  const server = await starting.catch(() => undefined);
  if (server === undefined) return;
  await server.stop();
  log.logger.info("stopped");
  await log.flush();
  process.exit();
}
