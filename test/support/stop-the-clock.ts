import { AsyncLocalStorage, AsyncResource } from "node:async_hooks";
import { onTestFinished, vi } from "vitest";

const TIMERS = {
  setTimeout: { clear: "clearTimeout", repeats: false },
  setInterval: { clear: "clearInterval", repeats: true },
} as const;

type Timer = keyof typeof TIMERS;

/** Whose timers are set: those of the test that has stopped the clock. */
const owner = new AsyncLocalStorage<symbol>();

/**
 * Lets timers of these kinds, and performance.now if it is named, go on in this test only when it says so, with vi.
 * Returns what tells how many of them run that the test, or what it calls, has set. vi.getTimerCount() holds those too
 * that leftovers of earlier files set, such as pools of connections: test files share a process.
 */
export function stopTheClock(...kinds: (Timer | "performance")[]): () => number {
  const timers = kinds.filter((kind) => kind !== "performance");
  vi.useFakeTimers({ toFake: [...kinds, ...timers.map((timer) => TIMERS[timer].clear)] });
  const fakes = Object.fromEntries(
    timers.flatMap((timer) => [timer, TIMERS[timer].clear]).map((name) => [name, globalThis[name]]),
  );
  onTestFinished(() => {
    // Only what it has put in place itself, vi takes away.
    Object.assign(globalThis, fakes);
    vi.useRealTimers();
  });
  const running = new Set<unknown>();
  const test = Symbol("test");
  owner.enterWith(test);
  for (const timer of timers) {
    const { clear, repeats } = TIMERS[timer];
    const [start, stop] = [globalThis[timer], globalThis[clear]];
    const startOwn = (callback: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) => {
      // It is the test that lets time pass, and so calls what others have set.
      if (owner.getStore() !== test) return start(AsyncResource.bind(callback), ms, ...args);
      const started = start(() => {
        if (!repeats) running.delete(started);
        callback(...args);
      }, ms);
      running.add(started);
      return started;
    };
    const stopOwn = (started?: NodeJS.Timeout) => {
      running.delete(started);
      stop(started);
    };
    Object.assign(globalThis, { [timer]: startOwn, [clear]: stopOwn });
  }
  return () => running.size;
}
