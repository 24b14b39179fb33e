/** A gRPC client on bare node:http2, which costs as little as a client in Node can. */
import { type ClientHttp2Session, connect, constants } from "node:http2";

/** Every answer may be in flight at once: the client's windows hold nothing back. */
const WINDOW_BYTES = 64 * 1024 * 1024;

/** How long an answer may take before it counts as missing, in milliseconds. */
const PATIENCE_MS = 20_000;

/** Opens a connection; the caller closes it. */
export function open(port: number): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port}`, {
    settings: { initialWindowSize: WINDOW_BYTES, enablePush: false },
  });
  session.once("connect", () => session.setLocalWindowSize(WINDOW_BYTES));
  // The calls fail, and tell.
  session.on("error", () => {});
  return session;
}

/** The metadata of a call of a method. */
export function requestHeaders(path: string, token: string): Record<string, string> {
  return {
    [constants.HTTP2_HEADER_METHOD]: "POST",
    [constants.HTTP2_HEADER_PATH]: path,
    "content-type": "application/grpc",
    te: "trailers",
    authorization: `Bearer ${token}`,
  };
}

/**
 * Makes one call: sends the whole body, half-closes, and collects the chunks of the answer.
 *
 * @throws Error if the connection breaks, the answer takes too long, or the status is not OK.
 */
export function call(session: ClientHttp2Session, headers: Record<string, string>, body: Buffer): Promise<Buffer[]> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let status = "none";
    let details = "";
    const stream = session.request(headers);
    const read = (metadata: Record<string, unknown>): void => {
      status = String(metadata["grpc-status"] ?? status);
      details = String(metadata["grpc-message"] ?? details);
    };
    stream.on("response", read).on("trailers", read);
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", reject);
    stream.on("close", () => {
      if (status === "0") resolve(chunks);
      else reject(new Error(`grpc-status ${status} ${decodeURIComponent(details)}`));
    });
    stream.setTimeout(PATIENCE_MS, () => stream.close(constants.NGHTTP2_CANCEL));
    stream.end(body);
  });
}
