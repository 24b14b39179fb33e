import { create } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  EtagMismatchError,
  InvalidInputError,
  invalidInput,
  RequestIdReusedError,
  TakenError,
  TooManyUsersError,
  UsersTooLargeError,
} from "../domain/errors.ts";
import type { Principal } from "../domain/principal.ts";
import { BLANK_USER, draftUser, haveSameFields, type User } from "../domain/user.ts";
import {
  type CreateUserRequest,
  type CreateUserResponse,
  CreateUserResponseSchema,
  type CreateUsersResponse,
  CreateUsersResponseSchema,
  type DeleteUserRequest,
  type DeleteUserResponse,
  DeleteUserResponseSchema,
  type UpdateUserRequest,
  type UpdateUserResponse,
  UpdateUserResponseSchema,
  type UserService,
} from "../gen/user/v1/user_service_pb.ts";
import type { NewUser, UserRepository } from "../repository/user-repository.ts";
import { batchesOf } from "./batches.ts";
import type { CreationRequests } from "./creation-requests.ts";
import { maxSizeOf } from "./message-size.ts";
import { callerOf, permitChange } from "./permission.ts";
import { fieldsOfNewUser } from "./user-fields.ts";
import { etagOf, toUserMessage } from "./user-message.ts";
import { readUpdate } from "./user-update.ts";
import { writeScope } from "./write-scope.ts";

/** What the users of one CreateUsers call may take, because they are in memory until the stream ends. */
const MAX_BYTES_PER_CALL = 128 * 2 ** 20;

/** What writing users takes. */
export interface UserWriteParts {
  readonly repository: UserRepository;
  readonly creationRequests: CreationRequests;
  /** How many users one CreateUsers call may create. */
  readonly maxUsersPerCall: number;
}

type UserWrites = Pick<ServiceImpl<typeof UserService>, "createUser" | "createUsers" | "updateUser" | "deleteUser">;

/** Makes the RPCs that write users. */
export function createUserWrites({ repository, creationRequests, maxUsersPerCall }: UserWriteParts): UserWrites {
  async function createUser(request: CreateUserRequest, context: HandlerContext): Promise<CreateUserResponse> {
    const [user] = await repository
      .create([toNewUser(request, callerOf(context))], writeScope(context))
      .catch(throwUnnumbered);
    return create(CreateUserResponseSchema, { user: user && toUserMessage(user) });
  }

  async function createUsers(
    requests: AsyncIterable<CreateUserRequest>,
    context: HandlerContext,
  ): Promise<CreateUsersResponse> {
    const caller = callerOf(context);
    const users: NewUser[] = [];
    let bytes = 0;
    for await (const batch of batchesOf(requests)) {
      for (const request of batch) {
        if (users.length === maxUsersPerCall) throw new TooManyUsersError(maxUsersPerCall);
        const user = toNumberedUser(request, caller, users.length);
        bytes += maxSizeOf(user);
        if (bytes > MAX_BYTES_PER_CALL) throw new UsersTooLargeError(MAX_BYTES_PER_CALL);
        users.push(user);
      }
    }
    if (users.length === 0) throw invalidInput("messages", "STREAM_EMPTY", "must hold at least one message");
    const created = await repository.create(users, writeScope(context));
    const userIds = created.map(({ id }) => id);
    return create(CreateUsersResponseSchema, { userIds, createdCount: userIds.length });
  }

  function toNumberedUser(request: CreateUserRequest, caller: Principal, index: number): NewUser {
    try {
      return toNewUser(request, caller);
    } catch (error) {
      throw error instanceof InvalidInputError ? error.in(`messages[${index}]`) : error;
    }
  }

  function toNewUser(request: CreateUserRequest, caller: Principal): NewUser {
    const draft = draftUser(fieldsOfNewUser(request));
    permitChange(caller, BLANK_USER, draft);
    return request.requestId === ""
      ? draft
      : { ...draft, request: creationRequests.of(caller.id, request.requestId, draft) };
  }

  async function updateUser(request: UpdateUserRequest, context: HandlerContext): Promise<UpdateUserResponse> {
    const message = request.user;
    if (message === undefined) throw invalidInput("user", "USER_MISSING", "must be set");
    const update = readUpdate(message, request.updateMask?.paths ?? []);
    const change = (current: User) => {
      requireEtag(current, message.etag);
      const fields = update(current);
      if (haveSameFields(fields, current)) return undefined;
      permitChange(callerOf(context), current, fields);
      return draftUser(fields);
    };
    const user = await repository.update(message.id, change, writeScope(context)).catch((error: unknown) => {
      throw error instanceof TakenError ? error.in("user") : error;
    });
    return create(UpdateUserResponseSchema, { user: toUserMessage(user) });
  }

  async function deleteUser({ id, etag }: DeleteUserRequest, context: HandlerContext): Promise<DeleteUserResponse> {
    await repository.delete(id, (current) => requireEtag(current, etag), writeScope(context));
    return create(DeleteUserResponseSchema, { success: true });
  }

  return { createUser, createUsers, updateUser, deleteUser };
}

/** An empty etag demands nothing. */
function requireEtag(user: User, etag: string): void {
  if (etag !== "" && etag !== etagOf(user)) throw new EtagMismatchError(user.id);
}

/** Tells an error of the only one of a batch without its number. */
function throwUnnumbered(error: unknown): never {
  if (error instanceof TakenError) throw error.in(undefined);
  if (error instanceof RequestIdReusedError) throw new RequestIdReusedError();
  throw error;
}
