import type { CallStatus } from "../grpc/status-object.ts";
import { PassThrough } from "./pass-through.ts";

/** A call that was refused when it arrived: ends with a status as soon as it may. */
export class RefusedCall extends PassThrough {
  readonly #status: CallStatus;

  constructor(outer: PassThrough["outer"], status: CallStatus) {
    super(outer);
    this.#status = status;
  }

  override onReceiveMetadata(): void {
    this.refuseWith(this.#status);
  }
}
