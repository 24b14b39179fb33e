import { create, type DescMessage, type DescMethod, isMessage, type Message } from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";
import { compileCut } from "../contract/item-limits.ts";
import { describeViolation } from "../contract/rule-violation.ts";
import { InvalidInputError } from "../domain/errors.ts";
import { MessageFlagError, RequestTooLargeError } from "../grpc/errors.ts";
import { messageFlag, requestEncoding } from "../grpc/wire.ts";
import { type Interceptor, PassThrough } from "./pass-through.ts";

/**
 * Keep the rules that have been compiled, for all servers of a process, because that takes longer than all else of a
 * start.
 */
const validator = createValidator();
const cuts = new Map<DescMessage, ReturnType<typeof compileCut>>();

/**
 * Holds every request message of `methods`, of each message of a stream, to the rules that the contract states as
 * protovalidate annotations. A message that breaks some never reaches the handler: the call fails with INVALID_ARGUMENT
 * and all violations of that message. With RESOURCE_EXHAUSTED fails a message that is larger than its method allows,
 * and with INTERNAL one whose flag its call does not allow.
 *
 * Compiles the rules now, so that the first request does not wait for it.
 *
 * @throws Error if the rules of a message do not compile.
 */
export function createValidation(methods: ReadonlyMap<string, DescMethod>): Interceptor {
  for (const { input } of methods.values()) {
    if (cuts.has(input)) continue;
    const { error } = validator.validate(input, create(input));
    if (error !== undefined && error.name !== "ValidationError") throw error;
    cuts.set(input, compileCut(input));
  }
  return ({ path }, call) => {
    const method = methods.get(path);
    return method === undefined ? call : new ValidatedCall(call, method, cuts.get(method.input));
  };
}

class ValidatedCall extends PassThrough {
  readonly #method: DescMethod;
  readonly #cut: ReturnType<typeof compileCut>;
  #index = 0;
  #refused = false;

  constructor(outer: PassThrough["outer"], method: DescMethod, cut: ReturnType<typeof compileCut>) {
    super(outer);
    this.#method = method;
    this.#cut = cut;
  }

  override onReceiveMessage(message: unknown): void {
    if (this.#refused) return;
    const error = this.#check(message);
    this.#index++;
    if (error === undefined) {
      super.onReceiveMessage(message);
    } else {
      this.#refused = true;
      this.refuse(error);
    }
  }

  override onReceiveHalfClose(): void {
    if (!this.#refused) super.onReceiveHalfClose();
  }

  #check(message: unknown): Error | undefined {
    const { input, methodKind } = this.#method;
    if (message instanceof RequestTooLargeError) return message;
    if (hasBadFlag(this.wire)) return new MessageFlagError();
    if (!isMessage(message, input)) return new Error(`not a message of type ${input.typeName}`);
    this.#cut?.(message as Message & Record<string, unknown>);
    const result = validator.validate<DescMessage>(input, message);
    if (result.kind === "valid") return undefined;
    if (result.kind === "error") return result.error;
    const invalid = new InvalidInputError(result.violations.map(describeViolation));
    const streams = methodKind === "client_streaming" || methodKind === "bidi_streaming";
    return streams ? invalid.in(`messages[${this.#index}]`) : invalid;
  }
}

/** Whether a message says that it is compressed though its call names no encoding, or has a flag of no meaning. */
function hasBadFlag(wire: ServerInterceptingCallInterface): boolean {
  const flag = messageFlag(wire);
  return flag !== 0 && (flag !== 1 || requestEncoding(wire) === "identity");
}
