import { Metadata } from "@grpc/grpc-js";

/** Turns grpc-js's metadata into the headers that Connect knows; binary values become base64, as on the wire. */
export function toHeaders(metadata: Metadata): Headers {
  const headers = new Headers();
  for (const [name, values] of Object.entries(metadata.toHttp2Headers())) {
    for (const value of [values ?? []].flat()) headers.append(name, String(value));
  }
  return headers;
}

/** The reverse of toHeaders. */
export function toMetadata(headers: Headers): Metadata {
  return Metadata.fromHttp2Headers(Object.fromEntries(headers));
}

/** Adds all headers of `from` to those of `to`. */
export function addHeaders(to: Headers, from: Headers): void {
  for (const [name, value] of from) to.append(name, value);
}
