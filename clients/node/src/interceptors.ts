import { randomUUID } from "node:crypto";
import { isMessage } from "@bufbuild/protobuf";
import { InterceptingCall, type Interceptor, Metadata, status } from "@grpc/grpc-js";
import { CreateUserRequestSchema } from "./gen/user/v1/user_service_pb.ts";
import { DEFAULT_TIMEOUTS_MS } from "./policy.ts";

/** A bearer token, or a function that is asked for one at each call, and should cache. */
export type Token = string | (() => string | Promise<string>);

/** Gives a call that states no deadline the one that the contract states for its method. */
export const limitTime: Interceptor = (options, next) => {
  const timeout = DEFAULT_TIMEOUTS_MS[options.method_definition.path];
  const deadline = options.deadline ?? (timeout === undefined ? undefined : Date.now() + timeout);
  return new InterceptingCall(next(deadline === undefined ? options : { ...options, deadline }));
};

/** Makes creations safe to send again, which is why they may be retried. The caller's messages are left as they are. */
export const addRequestIds: Interceptor = (options, next) =>
  new InterceptingCall(next(options), {
    sendMessage(message, send) {
      const lacksId = isMessage(message, CreateUserRequestSchema) && message.requestId === "";
      send(lacksId ? { ...message, requestId: randomUUID() } : message);
    },
  });

/** Sends a token with each call that brings no `authorization` of its own. */
export function addToken(token: Token): Interceptor {
  return (options, next) => {
    const call = new InterceptingCall(next(options), {
      start(metadata, listener, start) {
        if (metadata.get("authorization").length > 0) return start(metadata, listener);
        const send = (bearer: string) => {
          metadata.set("authorization", `Bearer ${bearer}`);
          start(metadata, listener);
        };
        if (typeof token === "string") return send(token);
        Promise.resolve()
          .then(token)
          .then(send, (error) => {
            const details = `no token: ${error instanceof Error ? error.message : error}`;
            listener.onReceiveStatus?.({ code: status.UNAUTHENTICATED, details, metadata: new Metadata() });
            call.cancelWithStatus(status.UNAUTHENTICATED, details);
          });
      },
    });
    return call;
  };
}
