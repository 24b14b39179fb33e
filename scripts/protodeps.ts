/**
 * Prints buf/validate/validate.proto, which @bufbuild/protovalidate ships as a descriptor only, as a source file that
 * buf can import. Usage: `node scripts/protodeps.ts OUTPUT_DIRECTORY`.
 *
 * The text declares every name and number of the descriptor; comments and custom options, which no importer needs, are
 * left out.
 */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  type DescEnum,
  type DescExtension,
  type DescField,
  type DescFile,
  type DescMessage,
  isFieldSet,
  ScalarType,
} from "@bufbuild/protobuf";
import {
  FieldDescriptorProtoSchema,
  FieldOptionsSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import { file_buf_validate_validate } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

/** The first field number that no message may use; a reserved range up to it is written as "max". */
const END_OF_FIELD_NUMBERS = 2 ** 29;

function printFile(file: DescFile): string {
  const { package: packageName, dependency } = file.proto;
  return [
    `syntax = "proto2";`,
    `package ${packageName};`,
    ...dependency.map((path) => `import "${path}";`),
    ...file.enums.map(printEnum),
    ...file.messages.map(printMessage),
    ...file.extensions.map(printExtension),
  ].join("\n");
}

function printMessage(message: DescMessage): string {
  const { reservedRange, reservedName, extensionRange } = message.proto;
  return [
    `message ${message.name} {`,
    ...message.nestedEnums.map(printEnum),
    ...message.nestedMessages.map(printMessage),
    ...message.members.map((member) =>
      member.kind === "oneof"
        ? `oneof ${member.name} { ${member.fields.map((field) => printField(field)).join(" ")} }`
        : `${label(member)}${printField(member)}`,
    ),
    ...reservedRange.map(({ start, end }) => `reserved ${range(start, end)};`),
    ...reservedName.map((name) => `reserved "${name}";`),
    ...extensionRange.map(({ start, end }) => `extensions ${range(start, end)};`),
    "}",
  ].join("\n");
}

function printEnum({ name, values }: DescEnum): string {
  return `enum ${name} { ${values.map((value) => `${value.name} = ${value.number};`).join(" ")} }`;
}

function printExtension(extension: DescExtension): string {
  return `extend .${extension.extendee.typeName} { ${label(extension)}${printField(extension)} }`;
}

function printField(field: DescField | DescExtension): string {
  const options: string[] = [];
  if (field.proto.options?.deprecated) options.push("deprecated = true");
  if (field.proto.options && isFieldSet(field.proto.options, FieldOptionsSchema.field.packed)) {
    options.push(`packed = ${field.proto.options.packed}`);
  }
  if (isFieldSet(field.proto, FieldDescriptorProtoSchema.field.defaultValue)) {
    const { defaultValue, type } = field.proto;
    options.push(`default = ${type === Type.STRING ? JSON.stringify(defaultValue) : defaultValue}`);
  }
  const suffix = options.length === 0 ? "" : ` [${options.join(", ")}]`;
  return `${typeName(field)} ${field.name} = ${field.number}${suffix};`;
}

function label(field: DescField | DescExtension): string {
  if (field.fieldKind === "map") return "";
  if (field.fieldKind === "list") return "repeated ";
  return field.proto.label === Label.REQUIRED ? "required " : "optional ";
}

function typeName(field: DescField | DescExtension): string {
  if (field.fieldKind === "map") throw new Error("a map field: validate.proto had none when this was written");
  const { scalar, message, enum: enumeration } = field;
  if (message !== undefined) return `.${message.typeName}`;
  if (enumeration !== undefined) return `.${enumeration.typeName}`;
  if (scalar !== undefined) return ScalarType[scalar].toLowerCase();
  throw new Error("a field of no known type");
}

function range(start: number, end: number): string {
  return `${start} to ${end === END_OF_FIELD_NUMBERS ? "max" : end - 1}`;
}

const [outputDirectory] = process.argv.slice(2);
if (outputDirectory === undefined) throw new Error("usage: node scripts/protodeps.ts OUTPUT_DIRECTORY");
const file = file_buf_validate_validate;
const path = join(outputDirectory, `${file.name}.proto`);
mkdirSync(dirname(path), { recursive: true });
// Put into its place when it is complete, since buf may be reading the one before.
const unfinished = `${path}.${process.pid}`;
writeFileSync(unfinished, `${printFile(file)}\n`);
renameSync(unfinished, path);
