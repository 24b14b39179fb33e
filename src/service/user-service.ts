import { create } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { InvalidInputError, TooManyUsersError } from "../domain/errors.ts";
import { draftUser, type UserDraft } from "../domain/user.ts";
import type { User as UserMessage } from "../gen/user/v1/user_pb.ts";
import {
  type ChatMessage,
  ChatMessageSchema,
  type CreateUserRequest,
  type CreateUsersResponse,
  CreateUsersResponseSchema,
  type GetUserRequest,
  type GetUserResponse,
  GetUserResponseSchema,
  type ListUsersRequest,
  type UserService,
} from "../gen/user/v1/user_service_pb.ts";
import type { UserRepository } from "../repository/user-repository.ts";
import { Batches } from "./batches.ts";
import type { PageTokens } from "./page-token.ts";
import { toUserMessage } from "./user-message.ts";

/** Trailing metadata of ListUsers: the token of the next page. Absent at the end. */
export const NEXT_PAGE_TOKEN = "x-next-page-token";

const DEFAULT_PAGE_SIZE = 10;
const MAX_PAGE_SIZE = 1000;

/** What the RPCs of UserService need. */
export interface UserServiceParts {
  readonly repository: UserRepository;
  readonly pageTokens: PageTokens;
  /** How many users one CreateUsers call may create. */
  readonly maxUsersPerCall: number;
}

/** Makes the RPCs of user.v1.UserService; the contract says what each of them promises. */
export function createUserService(parts: UserServiceParts): ServiceImpl<typeof UserService> {
  const { repository, pageTokens, maxUsersPerCall } = parts;

  async function getUser({ id }: GetUserRequest, context: HandlerContext): Promise<GetUserResponse> {
    const user = await repository.get(id, context);
    return create(GetUserResponseSchema, { user: toUserMessage(user) });
  }

  function listUsers(request: ListUsersRequest, context: HandlerContext): AsyncIterable<UserMessage> {
    return new Batches(listBatches(request, context));
  }

  async function* listBatches(request: ListUsersRequest, context: HandlerContext): AsyncGenerator<UserMessage[]> {
    const size = Math.min(request.pageSize || DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE);
    const after = request.pageToken === "" ? undefined : pageTokens.open(request.pageToken);
    // One more than asked for, which tells whether another page follows.
    const users = await repository.list({ after, limit: size + 1 }, context);
    const page = users.slice(0, size);
    const last = page.at(-1);
    if (users.length > size && last !== undefined)
      context.responseTrailer.set(NEXT_PAGE_TOKEN, pageTokens.seal(last.id));
    yield page.map(toUserMessage);
  }

  async function createUsers(
    requests: AsyncIterable<CreateUserRequest>,
    context: HandlerContext,
  ): Promise<CreateUsersResponse> {
    const drafts: UserDraft[] = [];
    for await (const request of requests) {
      if (drafts.length === maxUsersPerCall) throw new TooManyUsersError(maxUsersPerCall);
      drafts.push(draftMessage(request, drafts.length));
    }
    if (drafts.length === 0) throw emptyStream();
    const users = await repository.create(drafts, context);
    const userIds = users.map(({ id }) => id);
    return create(CreateUsersResponseSchema, { userIds, createdCount: userIds.length });
  }

  async function* chat(requests: AsyncIterable<ChatMessage>): AsyncGenerator<ChatMessage> {
    for await (const { message, timestamp } of requests) {
      const answer = create(ChatMessageSchema, { userId: "server", message: `Echo: ${message}` });
      if (timestamp !== undefined) answer.timestamp = timestamp;
      yield answer;
    }
  }

  return { getUser, listUsers, createUsers, chat };
}

function draftMessage(request: CreateUserRequest, index: number): UserDraft {
  try {
    return draftUser(request);
  } catch (error) {
    throw error instanceof InvalidInputError ? error.inMessage(index) : error;
  }
}

function emptyStream(): InvalidInputError {
  const description = "must hold at least one message";
  return new InvalidInputError([{ field: "messages", reason: "STREAM_EMPTY", description }]);
}
