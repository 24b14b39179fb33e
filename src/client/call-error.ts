import { fromBinary } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Metadata } from "@grpc/grpc-js";
import { STATUS_DETAILS } from "../contract/headers.ts";
import { StatusSchema } from "../gen/google/rpc/status_pb.ts";
import { addHeaders, toHeaders } from "./metadata.ts";

/** How a call ended, as grpc-js tells it. */
export interface CallStatus {
  readonly code: number;
  readonly details: string;
  readonly metadata: Metadata;
}

/** Turns the status of a failed call into an error, whose metadata are the headers and the trailers of the response. */
export function toConnectError({ code, details, metadata }: CallStatus, header: Headers): ConnectError {
  const known = Code[code] === undefined ? Code.Unknown : code;
  const error = new ConnectError(details, known, toHeaders(metadata));
  addHeaders(error.metadata, header);
  error.details = detailsOf(metadata).map(({ typeUrl, value }) => ({
    type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1),
    value,
  }));
  return error;
}

function detailsOf(metadata: Metadata): readonly Any[] {
  const [bytes] = metadata.get(STATUS_DETAILS);
  if (!(bytes instanceof Buffer)) return [];
  try {
    return fromBinary(StatusSchema, bytes).details;
  } catch {
    // Details that cannot be read must not hide the status.
    return [];
  }
}
