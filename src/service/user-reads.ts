import { create } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { NEXT_PAGE_TOKEN } from "../contract/headers.ts";
import { ResponseTooLargeError } from "../domain/errors.ts";
import type { User } from "../domain/user.ts";
import type { User as UserMessage } from "../gen/user/v1/user_pb.ts";
import {
  type BatchGetUsersRequest,
  type BatchGetUsersResponse,
  BatchGetUsersResponseSchema,
  type GetUserRequest,
  type GetUserResponse,
  GetUserResponseSchema,
  type ListUsersPageRequest,
  type ListUsersPageResponse,
  ListUsersPageResponseSchema,
  type ListUsersRequest,
  type UserService,
} from "../gen/user/v1/user_service_pb.ts";
import type { UserRepository } from "../repository/user-repository.ts";
import { Batches } from "./batches.ts";
import { howManyFit } from "./message-size.ts";
import type { SealedTokens } from "./sealed-tokens.ts";
import { toPassingUserMessage, toUserMessage } from "./user-message.ts";

const DEFAULT_PAGE_SIZE = 10;
const MAX_PAGE_SIZE = 1000;
/** How many messages of a stream of all users are made ahead. */
const SLICE = 20;

/** What reading users takes. */
export interface UserReadParts {
  readonly repository: UserRepository;
  readonly pageTokens: SealedTokens;
}

type UserReads = Pick<ServiceImpl<typeof UserService>, "getUser" | "batchGetUsers" | "listUsers" | "listUsersPage">;

/** Makes the RPCs that read users. */
export function createUserReads({ repository, pageTokens }: UserReadParts): UserReads {
  const toMessage = repository.keepsUsers ? toUserMessage : toPassingUserMessage;

  async function getUser({ id }: GetUserRequest, context: HandlerContext): Promise<GetUserResponse> {
    const user = await repository.get(id, context);
    return create(GetUserResponseSchema, { user: toMessage(user) });
  }

  async function batchGetUsers({ ids }: BatchGetUsersRequest, context: HandlerContext): Promise<BatchGetUsersResponse> {
    const found = await repository.getMany(ids, context);
    const users = found.filter((user) => user !== undefined);
    if (howManyFit(users) < users.length) throw new ResponseTooLargeError();
    const missingIds = ids.filter((_, index) => found[index] === undefined);
    return create(BatchGetUsersResponseSchema, { users: users.map(toMessage), missingIds });
  }

  function listUsers(request: ListUsersRequest, context: HandlerContext): AsyncIterable<UserMessage> {
    return new Batches(request.streamAll ? allUsers(request, context) : onePage(request, context));
  }

  async function* onePage(request: ListUsersRequest, context: HandlerContext): AsyncGenerator<UserMessage[]> {
    const { users, next } = await readPage(request, context);
    if (next !== undefined) context.responseTrailer.set(NEXT_PAGE_TOKEN, next);
    yield users.map(toMessage);
  }

  /** Page by page, so that no more than one is in memory, and of none is anything kept. */
  async function* allUsers({ pageToken }: ListUsersRequest, context: HandlerContext): AsyncGenerator<UserMessage[]> {
    let after = openToken(pageToken);
    let users: User[];
    do {
      users = await repository.list({ after, limit: MAX_PAGE_SIZE }, context);
      after = users.at(-1)?.id;
      // In slices, because what a client does not read yet stays in memory.
      for (let start = 0; start < users.length; start += SLICE) {
        yield users.slice(start, start + SLICE).map(toPassingUserMessage);
      }
    } while (users.length === MAX_PAGE_SIZE);
  }

  async function listUsersPage(request: ListUsersPageRequest, context: HandlerContext): Promise<ListUsersPageResponse> {
    const { users, next = "" } = await readPage(request, context, howManyFit);
    return create(ListUsersPageResponseSchema, { users: users.map(toMessage), nextPageToken: next });
  }

  async function readPage(
    { pageSize, pageToken }: ListUsersRequest | ListUsersPageRequest,
    context: HandlerContext,
    limit: (users: readonly User[]) => number = () => MAX_PAGE_SIZE,
  ): Promise<{ users: User[]; next: string | undefined }> {
    const size = Math.min(pageSize || DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE);
    // One more than asked for, which tells whether another page follows.
    const found = await repository.list({ after: openToken(pageToken), limit: size + 1 }, context);
    const users = found.slice(0, Math.min(size, limit(found)));
    const last = users.at(-1);
    return { users, next: found.length > users.length && last !== undefined ? pageTokens.seal(last.id) : undefined };
  }

  function openToken(token: string): string | undefined {
    return token === "" ? undefined : pageTokens.open(token);
  }

  return { getUser, batchGetUsers, listUsers, listUsersPage };
}
