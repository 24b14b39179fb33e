import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Logger } from "pino";
import type { TlsFault, TlsFiles, TlsIdentity } from "./tls-files.ts";
import { TlsReload } from "./tls-reload.ts";
import { TlsServer } from "./tls-server.ts";

/** What a server serves TLS with. */
export interface TlsOptions {
  readonly files: TlsFiles;
  /** What the files held when they were first read. */
  readonly identity: TlsIdentity;
  /** Milliseconds between two looks at the files; undefined for the default of TlsReload. */
  readonly lookMs?: number;
}

/** TLS as a server runs it. */
export interface ServerTls {
  /**
   * Makes what takes connections over, and hands them to `onSecure` when they are secure and speak one of the protocols
   * (ALPN).
   */
  entrance(protocols: readonly string[], onSecure: (socket: TLSSocket) => void): (socket: Socket) => void;
  /**
   * Looks after the files no more, and cuts off whoever finishes a handshake from now on. Connections that were handed
   * on stay.
   */
  close(): void;
}

const DAY_MS = 86_400_000;
/** How long before a certificate expires the log says so, once a day. Who renews by machine does it long before. */
const WARNING_MS = 14 * DAY_MS;
/** Failed handshakes are logged at once, and then together: a client that tries and tries does not fill the log. */
const REPORT_MS = 10_000;

/**
 * Secures connections with the identity, and with those that come after it into the same files. What becomes of
 * certificates and handshakes is logged.
 */
export function serveTls(options: TlsOptions, logger: Logger): ServerTls {
  const { files, identity, lookMs } = options;
  const failures = new Map<string, number>();
  let reporting: NodeJS.Timeout | undefined;
  let current = identity;
  let closed = false;

  const servers: TlsServer[] = [];
  const reload = new TlsReload(files, identity, { onReplaced, onRefused }, lookMs);
  const reminding = setInterval(remind, DAY_MS).unref();
  tell("TLS files loaded");
  return {
    entrance(protocols, onSecure) {
      const server = new TlsServer(current, protocols, {
        onSecure: (socket) => void (closed ? socket.destroy() : onSecure(socket)),
        onFailed,
      });
      servers.push(server);
      return (socket) => server.accept(socket);
    },
    close() {
      closed = true;
      reload.stop();
      clearInterval(reminding);
      clearTimeout(reporting);
      report();
    },
  };

  function onReplaced(identity: TlsIdentity): void {
    for (const server of servers) server.replace(identity);
    current = identity;
    tell("TLS files replaced");
  }

  function onRefused(faults: readonly TlsFault[]): void {
    const lines = faults.map(({ file, fault }) => `${files[file]}: ${fault}`);
    logger.error({ faults: lines }, "TLS files not usable, the last ones stay");
  }

  function tell(message: string): void {
    const { fingerprint, notAfter, requiresClientCertificate } = current;
    logger.info({ fingerprint, not_after: notAfter, client_certificates: requiresClientCertificate }, message);
    remind();
  }

  function remind(): void {
    const { fingerprint, notAfter } = current;
    if (notAfter.getTime() - Date.now() < WARNING_MS) {
      logger.warn({ fingerprint, not_after: notAfter }, "certificate expires soon");
    }
  }

  function onFailed(reason: string): void {
    if (closed) return;
    failures.set(reason, (failures.get(reason) ?? 0) + 1);
    if (reporting === undefined) report();
  }

  function report(): void {
    reporting = undefined;
    if (failures.size === 0) return;
    logger.warn({ counts: Object.fromEntries(failures) }, "TLS handshakes failed");
    failures.clear();
    if (!closed) reporting = setTimeout(report, REPORT_MS).unref();
  }
}
