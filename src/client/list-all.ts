import type { CallOptions, Client } from "@connectrpc/connect";
import type { User } from "../gen/user/v1/user_pb.ts";
import type { UserService } from "../gen/user/v1/user_service_pb.ts";

/** How users are listed. The other options are those of each call; a timeout is that of one page. */
export interface ListAllOptions extends Pick<CallOptions, "headers" | "signal" | "timeoutMs"> {
  /** Users on a page, up to 1000; 500 by default. */
  readonly pageSize?: number;
  /** Begins with this page instead of the first. */
  readonly pageToken?: string;
}

const PAGE_SIZE = 500;

/** All users, from the oldest on. The next page is asked for when the one before has been read. */
export class AllUsers implements AsyncIterableIterator<User> {
  readonly #client: Pick<Client<typeof UserService>, "listUsersPage">;
  readonly #pageSize: number;
  readonly #callOptions: CallOptions;
  readonly #users: AsyncGenerator<User>;
  #pageToken: string;

  constructor(client: Pick<Client<typeof UserService>, "listUsersPage">, options: ListAllOptions) {
    const { pageSize = PAGE_SIZE, pageToken = "", ...callOptions } = options;
    this.#client = client;
    this.#pageSize = pageSize;
    this.#pageToken = pageToken;
    this.#callOptions = callOptions;
    this.#users = this.#list();
  }

  /** The page that is being read. Who stops here can go on with it later, and sees the users of that page again. */
  get pageToken(): string {
    return this.#pageToken;
  }

  next(): Promise<IteratorResult<User>> {
    return this.#users.next();
  }

  return(): Promise<IteratorResult<User>> {
    return this.#users.return(undefined);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async *#list(): AsyncGenerator<User> {
    for (;;) {
      const page = { pageSize: this.#pageSize, pageToken: this.#pageToken };
      const { users, nextPageToken } = await this.#client.listUsersPage(page, this.#callOptions);
      yield* users;
      if (nextPageToken === "") return;
      this.#pageToken = nextPageToken;
    }
  }
}

/**
 * Lists all users, page by page: `for await (const user of listAll(client))`. Each page is a call of its own, retried
 * like any other, so that a listing may take as long as it likes. Users who are created or deleted meanwhile may be in
 * it or not; every other one is in it once.
 */
export function listAll(
  client: Pick<Client<typeof UserService>, "listUsersPage">,
  options: ListAllOptions = {},
): AllUsers {
  return new AllUsers(client, options);
}
