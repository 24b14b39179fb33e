import { banner } from "./banner.ts";
import { type Config, ConfigError, parseConfig } from "./config.ts";
import { signToken } from "./interceptors/token.ts";
import { createLogger } from "./logger.ts";
import { ListenError, startServer } from "./server.ts";

/** Exit status of a configuration error (EX_CONFIG of sysexits.h). */
const EX_CONFIG = 78;
/** Exit status of a service that is not available (EX_UNAVAILABLE of sysexits.h). */
const EX_UNAVAILABLE = 69;

const SECONDS_PER_DAY = 86_400;

try {
  await run(parseConfig(process.env, process.argv.slice(2)));
} catch (error) {
  if (error instanceof ConfigError)
    fail(EX_CONFIG, ["The configuration is wrong:", ...error.faults.map((fault) => `  ${fault}`)]);
  else if (error instanceof ListenError) fail(EX_UNAVAILABLE, [error.message]);
  else throw error;
}

async function run(config: Config): Promise<void> {
  const logger = createLogger(config);
  const server = await startServer(config, logger);
  logger.info({ host: config.host, port: server.port }, "listening");
  if (config.tokens?.ephemeral) {
    const token = await signToken(config.tokens, { id: "developer", role: "admin" }, SECONDS_PER_DAY);
    process.stderr.write(banner(server.port, token));
  }

  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    process.once("SIGTERM", exitAtOnce).once("SIGINT", exitAtOnce);
    logger.info({ signal }, "stopping");
    await server.stop();
    logger.info("stopped");
    process.exit();
  };
  process.once("SIGTERM", stop).once("SIGINT", stop);
}

function exitAtOnce(): never {
  process.exit(1);
}

function fail(code: number, lines: readonly string[]): void {
  process.stderr.write(`${lines.join("\n")}\n`);
  process.exitCode = code;
}
