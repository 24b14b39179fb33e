import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import pLimit from "p-limit";
import type { Bus } from "../../bus/bus.ts";
import type {
  CollaborativeEditRequest,
  CollaborativeEditResponse,
  EditOperation,
} from "../../gen/user/v1/collaborative_edit_pb.ts";
import type { UserService } from "../../gen/user/v1/user_service_pb.ts";
import type { Documents, Submission } from "../../repository/documents.ts";
import { Batches } from "../batches.ts";
import { Bell } from "../bell.ts";
import { callerOf } from "../permission.ts";
import type { PresenceKeeper } from "../presence-keeper.ts";
import { Tails } from "../tail.ts";
import type { UserChanges } from "../user-changes.ts";
import { DocumentEdits } from "./document-edits.ts";
import { DocumentLog, readDocument, topicOf } from "./document-log.ts";
import { DocumentReader } from "./document-reader.ts";
import { NOWHERE, toDetail, toOperation } from "./edit-messages.ts";
import { EditorRequests, readOpen } from "./editor-requests.ts";
import { OtherEditors } from "./other-editors.ts";

/** So many bios are looked at at a time. */
const MAX_LOOKS = 4;

/** What editing together takes. */
export interface CollaborativeEditParts {
  readonly userChanges: UserChanges;
  readonly documents: Documents;
  readonly presences: PresenceKeeper;
  readonly bus: Bus;
}

/** Makes the RPC that edits a text together with others. */
export function createCollaborativeEdit(
  parts: CollaborativeEditParts,
): Pick<ServiceImpl<typeof UserService>, "collaborativeEdit"> {
  const { userChanges, documents, presences, bus } = parts;
  const edits = new DocumentEdits(documents, bus);
  const logParts = { documents, bus, userChanges, inTurn: pLimit(MAX_LOOKS) };
  const tails = new Tails<CollaborativeEditResponse>((userId) => new DocumentLog(userId, logParts));

  function collaborativeEdit(
    requests: AsyncIterable<CollaborativeEditRequest>,
    context: HandlerContext,
  ): AsyncIterable<CollaborativeEditResponse> {
    return new Batches(edit(requests[Symbol.asyncIterator](), context));
  }

  async function* edit(
    requests: AsyncIterator<CollaborativeEditRequest>,
    context: HandlerContext,
  ): AsyncGenerator<readonly CollaborativeEditResponse[]> {
    const { userId, afterRevision } = await readOpen(requests);
    const bell = new Bell();
    const reader = new DocumentReader({
      read: (scope) => tails.inTurn(() => readDocument(documents, bus, userId, scope)),
      open: (revision) => tails.open(userId, revision, bell),
    });
    try {
      if (afterRevision !== undefined) await reader.resume(Number(afterRevision), context);
      const first = await reader.take(context);
      if (first.length > 0) yield first;
      yield* follow(requests, userId, reader, bell, context);
    } finally {
      reader.close();
    }
  }

  /** What happens at a document that has been opened. */
  async function* follow(
    requests: AsyncIterator<CollaborativeEditRequest>,
    userId: string,
    reader: DocumentReader,
    bell: Bell,
    context: HandlerContext,
  ): AsyncGenerator<readonly CollaborativeEditResponse[]> {
    const caller = callerOf(context).id;
    const stay = presences.enter(topicOf(userId), caller, NOWHERE);
    const view = presences.watch(topicOf(userId), bell);
    const others = new OtherEditors(view, stay.session);
    const actions = {
      apply: (operation: EditOperation) => edits.apply(userId, toSubmission(operation, caller)),
      move: (cursor: Parameters<typeof toDetail>[0]) => stay.update(toDetail(cursor)),
    };
    const own = new EditorRequests(requests, actions, bell);
    try {
      for (;;) {
        const operations = await reader.take(context);
        if (operations.length > 0) yield operations;
        const moves = others.news();
        if (moves.length > 0) yield moves;
        if (own.cameBack(reader.revision)) return;
        if (operations.length + moves.length === 0) await bell.wait(context.signal);
      }
    } finally {
      own.close();
      view.close();
      stay.leave();
    }
  }

  return { collaborativeEdit };
}

function toSubmission({ operationId, baseRevision, steps }: EditOperation, userId: string): Submission {
  return { operationId, userId, baseRevision: Number(baseRevision), operation: toOperation(steps) };
}
