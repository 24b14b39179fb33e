import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { InstantCancels } from "../../src/grpc/instant-cancels.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }));
afterEach(() => void vi.useRealTimers());

/** Begins so many calls that come with one read, and cancels them. */
function reset(cancels: InstantCancels, count: number, read: number): boolean[] {
  const ids = Array.from({ length: count }, (_, index) => 1000 * read + 2 * index + 1);
  for (const id of ids) cancels.begin(id, read);
  return ids.map((id) => cancels.cancelled(id, read));
}

describe("calls that are cancelled", () => {
  it("count if they were opened with the same read, in this second", () => {
    const cancels = new InstantCancels();
    expect(reset(cancels, 3, 1)).toEqual([true, true, true]);
    expect(cancels.unearned).toBe(3);

    cancels.begin(3001, 3);
    expect(cancels.cancelled(3001, 4), "with a later read").toBe(false);
    cancels.begin(5001, 5);
    expect(cancels.cancelled(3001, 5), "with the read of a later call").toBe(false);
    expect(cancels.unearned).toBe(3);

    vi.advanceTimersByTime(1000);
    reset(cancels, 2, 7);
    expect(cancels.unearned).toBe(2);
  });

  it("do not count as far as as many were answered, until the look after next", () => {
    const cancels = new InstantCancels();
    for (let count = 0; count < 5; count++) cancels.answered();
    reset(cancels, 7, 1);
    expect(cancels.unearned).toBe(2);
    cancels.look();
    expect(cancels.unearned).toBe(2);
    cancels.answered();
    expect(cancels.unearned).toBe(1);
    cancels.look();
    expect(cancels.unearned).toBe(6);
    cancels.look();
    expect(cancels.unearned).toBe(7);
  });
});
