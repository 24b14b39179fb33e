import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { UploadFormat, UploadHeaderSchema } from "../../../src/gen/user/v1/upload_pb.ts";
import { createUploadIdentity } from "../../../src/service/upload/upload-identity.ts";
import { type Header, headerOf } from "../../user-service/upload-files.ts";

const KEY = Buffer.alloc(32, 1);
const identify = createUploadIdentity(() => KEY);
const HEADER = headerOf("a file", { uploadId: "0b9f1c7e-52c4-4d3a-9f0e-7a1b2c3d4e5f" });

function header(fields: Header = {}) {
  return create(UploadHeaderSchema, { ...HEADER, ...fields });
}

describe("the identity of an upload", () => {
  it("is the same for the same file, so that replicas with one key agree, and ids are taken for the same in any case", () => {
    const replica = createUploadIdentity(() => Buffer.from(KEY));
    const upper = header({ uploadId: HEADER.uploadId?.toUpperCase() ?? "" });
    expect(replica("root", upper)).toEqual(identify("root", header()));
    expect(identify("root", header())).toMatchObject({ caller: "root", id: HEADER.uploadId });
  });

  it("has another fingerprint for every other file", () => {
    const others = [
      {},
      { sizeBytes: 7n },
      { format: UploadFormat.NDJSON },
      { sha256: new Uint8Array(32) },
      { uploadId: HEADER.uploadId?.replace(/.$/, "0") ?? "" },
    ];
    const fingerprints = [
      ...others.map((fields) => identify("root", header(fields)).fingerprint),
      identify("other", header()).fingerprint,
      createUploadIdentity(() => Buffer.alloc(32, 2))("root", header()).fingerprint,
    ];
    expect(new Set(fingerprints).size).toBe(fingerprints.length);
  });

  it("does not hold what the file is known by elsewhere", () => {
    const hash = Buffer.from(HEADER.sha256 ?? []);
    const { fingerprint } = identify("root", header());
    for (const encoding of ["hex", "base64", "base64url"] as const) {
      expect(fingerprint).not.toContain(hash.toString(encoding));
    }
  });
});
