import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { Bus } from "../bus/bus.ts";
import { ChangesExpiredError } from "../domain/errors.ts";
import type { UserService } from "../gen/user/v1/user_service_pb.ts";
import {
  WatchEventType,
  type WatchUsersRequest,
  type WatchUsersResponse,
  WatchUsersResponseSchema,
} from "../gen/user/v1/watch_pb.ts";
import type { UserPage, UserRepository } from "../repository/user-repository.ts";
import { Batches, giveAway } from "./batches.ts";
import { Bell } from "./bell.ts";
import { ChangeFeed } from "./change-feed.ts";
import type { SealedTokens } from "./sealed-tokens.ts";
import { ShownChanges } from "./shown-changes.ts";
import { type Cursor, Tails } from "./tail.ts";
import { toPassingUserMessage } from "./user-message.ts";

/** Trailing metadata of a call that fails: what the next one goes on with. */
export const RESUME_TOKEN = "x-resume-token";

const DEFAULT_HEARTBEAT_MS = 5000;

/**
 * So many users of a snapshot are read at a time: one more with each page, as long as the watcher reads on, because
 * what is read for one who does not stays in memory.
 */
const FIRST_PAGE_SIZE = 6;
const MAX_PAGE_SIZE = 128;

/** What watching users takes. */
export interface WatchUsersParts {
  readonly repository: UserRepository;
  readonly bus: Bus;
  readonly resumeTokens: SealedTokens;
}

/** Where a stream begins. */
interface Start {
  /** The change after which it goes on. */
  readonly revision: number;
  /** The user after whom the snapshot goes on, empty for its beginning; undefined without one. */
  readonly snapshotAfter: string | undefined;
}

/** Some users of a snapshot. */
interface SnapshotPage {
  readonly events: WatchUsersResponse[];
  /** The id of the last; undefined if no more follow. */
  readonly last: string | undefined;
  /** As of which they are. */
  readonly revision: number;
}

/** Makes the RPC that watches users. */
export function createWatchUsers(parts: WatchUsersParts): Pick<ServiceImpl<typeof UserService>, "watchUsers"> {
  const { repository, bus, resumeTokens } = parts;
  const tails = new Tails<WatchUsersResponse>(() => new ChangeFeed(repository, bus, resumeTokens));

  function watchUsers(request: WatchUsersRequest, context: HandlerContext): AsyncIterable<WatchUsersResponse> {
    return new Batches(resumable(events(request, context), context));
  }

  async function* events(
    request: WatchUsersRequest,
    context: HandlerContext,
  ): AsyncGenerator<readonly WatchUsersResponse[]> {
    const start = await startOf(request, context);
    const shown = new ShownChanges(start.snapshotAfter ?? "");
    if (start.snapshotAfter === undefined) yield [heartbeat(start.revision)];
    else yield* snapshot(start.revision, start.snapshotAfter, shown, context);

    const bell = new Bell();
    const cursor = tails.open("", start.revision, bell);
    try {
      yield* changes(cursor, bell, shown, heartbeatMsOf(request), context);
    } finally {
      cursor.close();
    }
  }

  async function startOf(
    { snapshot: wanted, resumeToken }: WatchUsersRequest,
    context: HandlerContext,
  ): Promise<Start> {
    const latest = await tails.inTurn(() => repository.changes.latest(context));
    if (resumeToken === "") return { revision: latest, snapshotAfter: wanted ? "" : undefined };
    const [revision = "", snapshotAfter] = resumeTokens.open(resumeToken).split(" ");
    // A store that has been set back to an earlier state knows nothing of what the watcher has seen.
    if (Number(revision) > latest) throw new ChangesExpiredError();
    await tails.inTurn(() => repository.changes.list({ after: Number(revision), limit: 1 }, context));
    return { revision: Number(revision), snapshotAfter };
  }

  /** All users, as of the revision or later. */
  async function* snapshot(
    revision: number,
    startAfter: string,
    shown: ShownChanges,
    context: HandlerContext,
  ): AsyncGenerator<readonly WatchUsersResponse[]> {
    let after: string | undefined = startAfter === "" ? undefined : startAfter;
    let limit = FIRST_PAGE_SIZE;
    for (;;) {
      const page: SnapshotPage = await readPage(revision, { after, limit }, context);
      after = page.last;
      shown.add(after, page.revision);
      if (page.events.length > 0) yield giveAway(page.events);
      if (after === undefined) break;
      limit = Math.min(limit + 1, MAX_PAGE_SIZE);
    }
    yield [event(WatchEventType.SNAPSHOT_END, revision)];
  }

  async function readPage(revision: number, place: UserPage, context: HandlerContext): Promise<SnapshotPage> {
    const page = await tails.inTurn(() => repository.listAsOf(place, context));
    const events = page.users.map((user) =>
      event(WatchEventType.SNAPSHOT, revision, `${revision} ${user.id}`, {
        userId: user.id,
        user: toPassingUserMessage(user),
      }),
    );
    const last = page.users.length < place.limit ? undefined : page.users.at(-1)?.id;
    return { events, last, revision: page.revision };
  }

  async function* changes(
    cursor: Cursor<WatchUsersResponse>,
    bell: Bell,
    shown: ShownChanges,
    heartbeatMs: number,
    context: HandlerContext,
  ): AsyncGenerator<readonly WatchUsersResponse[]> {
    let lastAt = performance.now();
    for (;;) {
      const taken = await cursor.take(context);
      const atEnd = taken.length === 0;
      const news = shown.without(taken);
      if (news.length > 0) {
        yield Object.isFrozen(news) ? news : giveAway(news);
        lastAt = performance.now();
      } else if (performance.now() - lastAt >= heartbeatMs) {
        yield [heartbeat(cursor.position)];
        lastAt = performance.now();
      }
      if (atEnd) await bell.wait(context.signal, Math.max(lastAt + heartbeatMs - performance.now(), 0));
    }
  }

  function heartbeat(revision: number): WatchUsersResponse {
    return event(WatchEventType.HEARTBEAT, revision);
  }

  function event(
    type: WatchEventType,
    revision: number,
    place = String(revision),
    rest: MessageInitShape<typeof WatchUsersResponseSchema> = {},
  ): WatchUsersResponse {
    const resumeToken = resumeTokens.seal(place);
    return create(WatchUsersResponseSchema, { ...rest, type, resumeToken, revision: BigInt(revision) });
  }

  return { watchUsers };
}

/** The same batches; the trailers of the call tell where to go on after those that have been written. */
async function* resumable(
  batches: AsyncIterable<readonly WatchUsersResponse[]>,
  { responseTrailer }: HandlerContext,
): AsyncGenerator<readonly WatchUsersResponse[]> {
  for await (const batch of batches) {
    const token = batch.at(-1)?.resumeToken ?? "";
    yield batch;
    responseTrailer.set(RESUME_TOKEN, token);
  }
}

function heartbeatMsOf({ heartbeatInterval }: WatchUsersRequest): number {
  return heartbeatInterval === undefined ? DEFAULT_HEARTBEAT_MS : durationMs(heartbeatInterval);
}
