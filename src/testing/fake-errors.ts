import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Any, anyPack, durationFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { Metadata, type StatusObject, status } from "@grpc/grpc-js";
import type { Failure } from "../client/failure.ts";
import { STATUS_DETAILS } from "../contract/headers.ts";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  ResourceInfoSchema,
  RetryInfoSchema,
} from "../gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../gen/google/rpc/status_pb.ts";

/** What a scripted error says, in the terms of readFailure. The code is the one that gRPC names so. */
export interface ScriptedFailure extends Partial<Omit<Failure, "code" | "requestId">> {
  readonly code: keyof typeof status;
}

/** The error that a fake fails with. What readFailure makes of it is what was given here. */
export function failing({
  code,
  message = "",
  reason,
  domain = "user.v1",
  facts,
  ...rest
}: ScriptedFailure): ConnectError {
  const { violations, resource, retryDelayMs } = rest;
  const details: Detail[] = [];
  if (reason !== undefined) details.push(detail(ErrorInfoSchema, { reason, domain, metadata: { ...facts } }));
  if (violations !== undefined) details.push(detail(BadRequestSchema, { fieldViolations: [...violations] }));
  if (resource !== undefined) {
    details.push(detail(ResourceInfoSchema, { resourceType: resource.type, resourceName: resource.name }));
  }
  if (retryDelayMs !== undefined) details.push(detail(RetryInfoSchema, { retryDelay: durationFromMs(retryDelayMs) }));
  return new ConnectError(message, status[code] as number as Code, undefined, details);
}

/** The error of a replica that stops. In a script: `[...Array(3).fill(unavailable()), answer]` fails three times. */
export function unavailable(): ConnectError {
  return failing({ code: "UNAVAILABLE", message: "not available", reason: "SERVER_STOPPING" });
}

/** The error of a method without a script. */
export function unimplemented(method: string): ConnectError {
  return new ConnectError(`the fake was not told what ${method} does`, Code.Unimplemented);
}

/**
 * The status that tells of an error; of one that is no ConnectError, INTERNAL with its message, so that a test shows
 * it.
 */
export function toStatus(error: unknown): Partial<StatusObject> {
  const { code, rawMessage, details, metadata: trailer } = ConnectError.from(error, Code.Internal);
  const metadata = new Metadata();
  for (const [name, value] of trailer) metadata.set(name, value);
  const packed = details.flatMap((each): Any[] =>
    "desc" in each ? [anyPack(each.desc, create(each.desc, each.value as MessageInitShape<DescMessage>))] : [],
  );
  const rich = create(StatusSchema, { code, message: rawMessage, details: packed });
  metadata.set(STATUS_DETAILS, Buffer.from(toBinary(StatusSchema, rich)));
  return { code: code as number as status, details: rawMessage, metadata };
}

interface Detail {
  readonly desc: DescMessage;
  readonly value: MessageInitShape<DescMessage>;
}

function detail<S extends DescMessage>(desc: S, value: MessageInitShape<S>): Detail {
  return { desc, value: value as MessageInitShape<DescMessage> };
}
