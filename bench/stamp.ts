/** Makes many different request bodies out of one, without encoding again. */

/** Where a body holds the number of its call: decimal digits, at equal distances, as often as it has messages. */
export interface StampPlaces {
  /** Offset of the first digit of the first message. */
  readonly offset: number;
  /** Bytes from one message to the next. */
  readonly stride: number;
  /** Number of digits. */
  readonly width: number;
}

/** A copy of the body that holds this number in every place. */
export function stamp(body: Buffer, { offset, stride, width }: StampPlaces, number: number): Buffer {
  const digits = Buffer.from(String(number).padStart(width, "0"));
  const stamped = Buffer.from(body);
  for (let at = offset; at < stamped.length; at += stride) digits.copy(stamped, at);
  return stamped;
}
