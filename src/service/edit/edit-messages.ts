import { create } from "@bufbuild/protobuf";
import type { TextOperation } from "../../domain/text-operation.ts";
import {
  AppliedOperationSchema,
  type CollaborativeEditResponse,
  CollaborativeEditResponseSchema,
  type EditCursor,
  type EditStep,
  EditStepSchema,
} from "../../gen/user/v1/collaborative_edit_pb.ts";
import type { AppliedOperation, DocumentText } from "../../repository/documents.ts";
import type { Presence } from "../../repository/presences.ts";

/** The operation that an editor asks for. */
export function toOperation(steps: readonly EditStep[]): TextOperation {
  return steps.flatMap(({ step }) => {
    if (step.case === undefined) return [];
    return step.case === "delete" ? { d: step.value } : step.value;
  });
}

/** The event that tells of an operation: frozen, to be told to everybody, so that its bytes are made once. */
export function operationEvent({
  revision,
  operation,
  userId,
  operationId,
}: AppliedOperation): CollaborativeEditResponse {
  const value = create(AppliedOperationSchema);
  value.revision = BigInt(revision);
  value.steps = operation.map(toStep);
  value.userId = userId;
  value.operationId = operationId;
  const message = create(CollaborativeEditResponseSchema);
  message.event = { case: "operation", value };
  return Object.freeze(message);
}

/** The event that tells the whole text. */
export function snapshotEvent({ revision, text }: DocumentText): CollaborativeEditResponse {
  return create(CollaborativeEditResponseSchema, {
    event: { case: "snapshot", value: { revision: BigInt(revision), text } },
  });
}

/** The event that tells of another editor. */
export function presenceEvent(
  { session: sessionId, userId, detail }: Presence,
  gone: boolean,
): CollaborativeEditResponse {
  const cursor = gone ? undefined : fromDetail(detail);
  const value = { sessionId, userId, gone, ...(cursor && { cursor }) };
  return create(CollaborativeEditResponseSchema, { event: { case: "presence", value } });
}

/** The detail of an editor's presence who has not said where they are. */
export const NOWHERE = "";

/** The detail of an editor's presence who is here. */
export function toDetail({ position, selectionEnd }: EditCursor): string {
  return JSON.stringify({ position, selectionEnd });
}

function fromDetail(detail: string): Pick<EditCursor, "position" | "selectionEnd"> | undefined {
  return detail === NOWHERE ? undefined : JSON.parse(detail);
}

function toStep(step: TextOperation[number]): EditStep {
  const message = create(EditStepSchema);
  if (typeof step === "number") message.step = { case: "retain", value: step };
  else if (typeof step === "string") message.step = { case: "insert", value: step };
  else message.step = { case: "delete", value: step.d };
  return message;
}
