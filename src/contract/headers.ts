/** Request metadata: how many messages the client means to send. With another number of messages the call fails. */
export const EXPECTED_COUNT = "x-expected-count";

/** Trailing metadata: a serialised google.rpc.Status, whose details say more about an error. */
export const STATUS_DETAILS = "grpc-status-details-bin";
