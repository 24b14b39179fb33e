import type { UploadHeader } from "../../gen/user/v1/upload_pb.ts";
import type { Upload } from "../../repository/imports.ts";
import { createMac, type KeySource } from "../mac.ts";

/** Makes of a header the upload that a repository knows again. */
export type UploadIdentity = (caller: string, header: UploadHeader) => Upload;

/** Without `key`, no fingerprint tells whether a guessed file is the true one. */
export function createUploadIdentity(key: KeySource): UploadIdentity {
  const macOf = createMac(key, "upload 1");
  return (caller, { uploadId, format, sizeBytes, sha256 }) => {
    const id = uploadId.toLowerCase();
    // With caller and id, so that it does not show that two uploads are of the same file.
    const content = JSON.stringify([caller, id, format, String(sizeBytes), Buffer.from(sha256).toString("hex")]);
    return { caller, id, fingerprint: macOf(content).toString("base64url") };
  };
}
