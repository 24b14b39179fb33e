import type { TlsOptions } from "./grpc/tls.ts";
import { readTlsFilesSync, type TlsFiles, TlsFilesError, toTlsIdentity } from "./grpc/tls-files.ts";

const VARIABLES = { cert: "TLS_CERT_FILE", key: "TLS_KEY_FILE", clientCa: "TLS_CLIENT_CA_FILE" } as const;

type Variable = (typeof VARIABLES)[keyof TlsFiles];

/** Reads the files that the variables name, if any does, and reports what is wrong with them. */
export function toTlsOptions(
  values: Readonly<Partial<Record<Variable, string | undefined>>>,
  report: (variable: Variable, fault: string) => void,
): TlsOptions | undefined {
  const { TLS_CERT_FILE: cert, TLS_KEY_FILE: key, TLS_CLIENT_CA_FILE: clientCa } = values;
  if (cert === undefined && key === undefined && clientCa === undefined) return undefined;
  if (cert === undefined)
    report("TLS_CERT_FILE", `TLS_CERT_FILE: must be set with ${key ? "TLS_KEY_FILE" : "TLS_CLIENT_CA_FILE"}`);
  if (key === undefined)
    report("TLS_KEY_FILE", `TLS_KEY_FILE: must be set with ${cert ? "TLS_CERT_FILE" : "TLS_CLIENT_CA_FILE"}`);
  if (cert === undefined || key === undefined) return undefined;

  const files: TlsFiles = { cert, key, clientCa };
  try {
    return { files, identity: toTlsIdentity(readTlsFilesSync(files)) };
  } catch (error) {
    if (!(error instanceof TlsFilesError)) throw error;
    for (const { file, fault } of error.faults) {
      report(VARIABLES[file], `${VARIABLES[file]}=${JSON.stringify(files[file])}: ${fault}`);
    }
    return undefined;
  }
}
