import { Socket } from "node:net";
import pg from "pg";
const TYPES = {
    getTypeParser: (oid, format) => oid === pg.types.builtins.INT8 && format !== "binary" ? Number : pg.types.getTypeParser(oid, format),
};
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 5000;
const KEEP_ALIVE_DELAY_MS = 10_000;
export class Connection extends pg.Client {
    #socket;
    #statementTimeoutMs;
    constructor(config) {
        const socket = new Socket();
        super({
            ...config,
            application_name: "user-service",
            pipeline: true,
            types: TYPES,
            stream: () => socket,
            keepAlive: true,
            keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
            idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
        });
        this.#socket = socket;
        this.on("error", () => { });
    }
    limitStatements(timeoutMs) {
        if (timeoutMs === this.#statementTimeoutMs)
            return;
        this.#statementTimeoutMs = timeoutMs;
        this.query(`SET statement_timeout = ${timeoutMs}`).catch(() => { });
    }
    cancelStatement(timeoutMs) {
        const { processID, secretKey } = this;
        const { ssl } = this;
        const messenger = new pg.Connection({ ssl });
        const { promise, resolve } = Promise.withResolvers();
        const giveUp = () => {
            resolve(false);
            messenger.stream.destroy();
        };
        const timer = setTimeout(giveUp, timeoutMs);
        messenger.on("connect", () => (ssl ? messenger.requestSsl() : messenger.cancel(processID, secretKey)));
        messenger.on("sslconnect", () => messenger.cancel(processID, secretKey));
        messenger.on("error", giveUp);
        messenger.on("end", () => {
            clearTimeout(timer);
            resolve(true);
        });
        messenger.connect(this.port, this.host);
        return promise;
    }
    cut() {
        this.#socket.destroy();
    }
}
