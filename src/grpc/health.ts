import type { handleServerStreamingCall, Server } from "@grpc/grpc-js";
import { HealthImplementation } from "grpc-health-check";
import type { LiveStream, LiveStreams } from "./live-streams.ts";
import { toStatus } from "./status.ts";

/** The server as a whole, as grpc.health.v1 names it. */
const OVERALL = "";

/** What to ask for to learn whether the process should be restarted. It never should for what others lack. */
const LIVENESS = "liveness";

/** What grpc.health.v1.Health answers. */
export interface Health {
  /**
   * Says whether calls are served: of every service and of the server as a whole, to those who ask and to those who
   * watch.
   */
  set(status: "SERVING" | "NOT_SERVING"): void;
}

/**
 * Serves grpc.health.v1.Health on `server`, for these services and for the server as a whole, NOT_SERVING at first, and
 * under the name `liveness`, SERVING as long as somebody answers.
 * Watches are live streams: they end when the server stops.
 */
export function serveHealth(server: Server, services: readonly string[], live: LiveStreams): Health {
  const names = [OVERALL, ...services];
  const health = new HealthImplementation({
    ...Object.fromEntries(names.map((name) => [name, "NOT_SERVING"])),
    [LIVENESS]: "SERVING",
  });
  health.addToServer({
    addService(definition, { watch, ...others }) {
      server.addService(definition, { ...others, watch: keepingLive(watch as Watch, live) });
    },
  });
  return {
    set(status) {
      for (const name of names) health.setStatus(name, status);
    },
  };
}

type Watch = handleServerStreamingCall<unknown, unknown>;

function keepingLive(watch: Watch, live: LiveStreams): Watch {
  return (call) => {
    const stream: LiveStream = {
      stop(reason) {
        call.emit("error", toStatus(reason));
      },
    };
    watch(call);
    live.add(stream);
    call.once("cancelled", () => live.delete(stream));
  };
}
