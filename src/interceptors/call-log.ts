import { status } from "@grpc/grpc-js";
import pino, { type Logger } from "pino";
import type { CallSubscriber, EndedCall } from "./observe.ts";

/** Logs one line per call that has ended: an error where the fault is the server's, information otherwise. */
export function createCallLog(logger: Logger): CallSubscriber {
  const lines = logger.child({});
  // pino lets performant integrations replace how a logger turns what it is given into a line (pino.symbols).
  Object.defineProperty(lines, pino.symbols.asJsonSym, { value: toLine });
  return (ended) => {
    if (ended.cause === undefined) lines.info(ended);
    else logger.error({ ...toFields(ended), err: ended.cause }, "call failed");
  };
}

/** What the log tells of a call, or of what should have become one. */
export type LoggedCall = Pick<EndedCall, "path" | "code" | "durationMs" | "requestId" | "traceId">;

/** Logs one line per request that was refused before it was a call; its path is empty if it names no method. */
export function createRefusalLog(logger: Logger): (refused: LoggedCall) => void {
  return (refused) => logger.info(toFields(refused), "request refused");
}

/** What pino would make of the fields, in a tenth of its time: none of the values needs quoting. */
function toLine(ended: EndedCall, _message: string, _level: number, time: string): string {
  const { path, code, requestId, traceId } = ended;
  const call = `"method":"${path.slice(1)}","code":"${status[code]}","duration_ms":${toDuration(ended)}`;
  const trace = traceId === undefined ? "" : `,"trace_id":"${traceId}"`;
  return `{"level":"info"${time},${call},"request_id":"${requestId}"${trace},"msg":"call ended"}\n`;
}

function toFields(ended: LoggedCall): object {
  const { path, code, requestId, traceId } = ended;
  return {
    ...(path !== "" && { method: path.slice(1) }),
    code: status[code],
    duration_ms: toDuration(ended),
    request_id: requestId,
    ...(traceId !== undefined && { trace_id: traceId }),
  };
}

/** Milliseconds, to the microsecond. */
function toDuration({ durationMs }: LoggedCall): number {
  return Math.round(durationMs * 1000) / 1000;
}
