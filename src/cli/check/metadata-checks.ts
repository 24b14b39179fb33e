import { randomUUID } from "node:crypto";
import { Code } from "@connectrpc/connect";
import { EXPECTED_COUNT, NEXT_PAGE_TOKEN, REQUEST_ID } from "../../contract/headers.ts";
import { streamOf } from "../stream-of.ts";
import { type Check, ensure, failureOf } from "./check.ts";

/** What metadata does, and what comes back in it. */
export const METADATA_CHECKS: readonly Check[] = [
  {
    group: "metadata",
    name: "x-request-id comes back with an answer, and with a failure",
    async run(context) {
      const { id } = await context.createUser();
      const requestId = randomUUID();
      const headers = { [REQUEST_ID]: requestId };
      let echoed: string | null = null;
      const onHeader = (received: Headers) => {
        echoed = received.get(REQUEST_ID);
      };
      await context.users.getUser({ id }, { signal: context.signal, headers, onHeader });
      ensure(echoed === requestId, "the response headers do not hold it");
      const failing = context.users.getUser({ id: "nobody" }, { signal: context.signal, headers });
      const failure = await failureOf(failing, Code.NotFound);
      ensure(failure.requestId === requestId, "the failure does not hold it");
    },
  },
  {
    group: "metadata",
    name: "a failure names a request id also where none was sent",
    async run({ users, signal }) {
      const failure = await failureOf(users.getUser({ id: "nobody" }, { signal }), Code.NotFound);
      ensure(failure.requestId !== undefined, "there is no x-request-id");
    },
  },
  {
    group: "metadata",
    name: "x-expected-count: DATA_LOSS for a stream with another count, INVALID_ARGUMENT for no number",
    async run(context) {
      const create = async (count: string) => {
        const headers = { [EXPECTED_COUNT]: count };
        const requests = streamOf({ email: context.email(), name: "Lost" });
        const { userIds } = await context.users.createUsers(requests, { signal: context.signal, headers });
        context.keep(...userIds);
      };
      await failureOf(create("2"), Code.DataLoss);
      await failureOf(create("two"), Code.InvalidArgument);
      await create("1");
    },
  },
  {
    group: "metadata",
    name: "x-next-page-token in the trailers leads to the next page",
    async run(context) {
      await context.createUser();
      await context.createUser();
      const list = async (pageToken: string) => {
        let next: string | null = null;
        const onTrailer = (trailer: Headers) => {
          next = trailer.get(NEXT_PAGE_TOKEN);
        };
        const options = { signal: context.signal, onTrailer };
        const users = await Array.fromAsync(context.users.listUsers({ pageSize: 1, pageToken }, options));
        return { ids: users.map(({ id }) => id).join(), next: next ?? "" };
      };
      const first = await list("");
      ensure(first.next !== "", "the trailers do not hold it");
      ensure((await list(first.next)).ids !== first.ids, "a user came on two pages");
    },
  },
];
