/** Request metadata: how many messages the client means to send. With another number of messages the call fails. */
export const EXPECTED_COUNT = "x-expected-count";

/** Trailing metadata: a serialised google.rpc.Status, whose details say more about an error. */
export const STATUS_DETAILS = "grpc-status-details-bin";

/** Metadata, in both directions, that holds the request id: back to clients that sent one, and with every failure. */
export const REQUEST_ID = "x-request-id";

/** Trailing metadata of ListUsers: the token of the next page. Absent at the end. */
export const NEXT_PAGE_TOKEN = "x-next-page-token";

/** Request metadata: the trace that a call belongs to (W3C Trace Context). */
export const TRACEPARENT = "traceparent";
