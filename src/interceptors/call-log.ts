import { status } from "@grpc/grpc-js";
import type { Logger } from "pino";
import type { CallSubscriber } from "./observe.ts";

/** Logs one line per call that has ended: an error where the fault is the server's, information otherwise. */
export function createCallLog(logger: Logger): CallSubscriber {
  return ({ path, code, durationMs, requestId, traceId, cause }) => {
    const line = {
      method: path.slice(1),
      code: status[code],
      duration_ms: Math.round(durationMs * 1000) / 1000,
      request_id: requestId,
      ...(traceId !== undefined && { trace_id: traceId }),
    };
    if (cause === undefined) logger.info(line, "call ended");
    else logger.error({ ...line, err: cause }, "call failed");
  };
}
