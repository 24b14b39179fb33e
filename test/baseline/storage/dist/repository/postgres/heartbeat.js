import { setImmediate, setTimeout } from "node:timers/promises";
const BEAT_MS = 500;
const SILENCE_MS = 1000;
const RETRY_MS = 250;
class SilenceError extends Error {
    name = "SilenceError";
    constructor() {
        super(`the database has not answered for ${SILENCE_MS} ms`);
    }
}
export async function keepHeartbeat(parts, signal) {
    let up = false;
    const lose = (cause) => {
        up = false;
        if (!signal.aborted)
            parts.onLost(cause);
    };
    while (!signal.aborted) {
        const connection = await parts.connect().catch(lose);
        if (connection === undefined) {
            await pause(RETRY_MS, signal);
            continue;
        }
        try {
            await parts.prepare(connection);
            if (!up)
                parts.onFound();
            up = true;
            while (await pause(BEAT_MS, signal))
                await beat(connection);
        }
        catch (error) {
            if (!up || error instanceof SilenceError)
                lose(error);
            if (!up)
                await pause(RETRY_MS, signal);
        }
        finally {
            connection.cut();
        }
    }
}
async function beat(connection) {
    let answered = false;
    const answer = connection.query("SELECT").then(() => {
        answered = true;
    });
    const silence = setTimeout(SILENCE_MS, undefined, { ref: false }).then(async () => {
        await setImmediate();
        await setImmediate();
        if (!answered)
            throw new SilenceError();
    });
    await Promise.race([answer, silence]);
}
async function pause(ms, signal) {
    await setTimeout(ms, undefined, { signal, ref: false }).catch(() => { });
    return !signal.aborted;
}
