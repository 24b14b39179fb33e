import { checkHealth } from "./check-health.ts";

// Exits with 0 if the service that runs with the same environment serves, or else with 1.
const failure = await checkHealth(process.env);
if (failure !== undefined) {
  process.stderr.write(`${failure}\n`);
  process.exitCode = 1;
}
