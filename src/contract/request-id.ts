import { type DescField, type DescMethod, ScalarType } from "@bufbuild/protobuf";

/**
 * The field with which a request of this method is safe to send again (AIP-155), if it has one: a string named
 * `request_id`, whose content is a UUID.
 */
export function requestIdField({ input }: DescMethod): DescField | undefined {
  return input.fields.find(
    (field) => field.name === "request_id" && field.fieldKind === "scalar" && field.scalar === ScalarType.STRING,
  );
}
