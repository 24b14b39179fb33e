import { readFile } from "node:fs/promises";
import { fromBinary } from "@bufbuild/protobuf";
import { type DescriptorProto, type FileDescriptorProto, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { Finding } from "./buf.ts";

/** Rules of buf's that are about names. The others are about what is good practice. */
const NAMING = /_(CASE|SUFFIX|PREFIX|NAME|MATCH)$/;

/** Whether a rule is about names. */
export function isNaming(rule: string): boolean {
  return NAMING.test(rule);
}

/** The numbers of messages and fields in a FileDescriptorProto, which the paths of its source info are made of. */
const MESSAGE_TYPE = 4;
const NESTED_TYPE = 3;

/**
 * Looks for what buf has no rule for, in the files of an image that `isChecked` names: Go clients need a go_package,
 * and numbers that are left out between those of fields were fields once, which nobody may use again unless they are
 * reserved.
 */
export async function findPractices(image: string, isChecked: (name: string) => boolean): Promise<Finding[]> {
  const { file: files } = fromBinary(FileDescriptorSetSchema, await readFile(image));
  return files.filter(({ name }) => isChecked(name)).flatMap((file) => [...goPackage(file), ...numbers(file)]);
}

function goPackage({ name, options }: FileDescriptorProto): Finding[] {
  if (options !== undefined && options.goPackage !== "") return [];
  const message = "there is no go_package, which Go clients need";
  return [{ file: name, line: 0, column: 0, rule: "GO_PACKAGE_DEFINED", message }];
}

function numbers(file: FileDescriptorProto): Finding[] {
  return file.messageType.flatMap((message, index) => gapsIn(file, message, [MESSAGE_TYPE, index]));
}

function gapsIn(file: FileDescriptorProto, message: DescriptorProto, path: readonly number[]): Finding[] {
  const nested = message.nestedType.flatMap((each, index) => gapsIn(file, each, [...path, NESTED_TYPE, index]));
  const used = new Set(message.field.map(({ number }) => number));
  const isReserved = (number: number): boolean =>
    [...message.reservedRange, ...message.extensionRange].some(({ start, end }) => number >= start && number < end);
  const last = Math.max(0, ...used);
  const missing: number[] = [];
  for (let number = 1; number < last && missing.length < MAX_MISSING; number++) {
    if (!used.has(number) && !isReserved(number)) missing.push(number);
  }
  if (missing.length === 0) return nested;
  const [line, column] = placeOf(file, path);
  const list = `${missing.join(", ")}${missing.length === MAX_MISSING ? ", ..." : ""}`;
  const text = `"${message.name}" leaves out the field numbers ${list}: reserve those that were used once`;
  return [{ file: file.name, line, column, rule: "FIELD_NUMBERS_RESERVED", message: text }, ...nested];
}

/** More of them say nothing more. */
const MAX_MISSING = 10;

function placeOf({ sourceCodeInfo }: FileDescriptorProto, path: readonly number[]): [line: number, column: number] {
  const location = sourceCodeInfo?.location.find((each) => each.path.join() === path.join());
  const [line, column] = location?.span ?? [];
  return line === undefined || column === undefined ? [0, 0] : [line + 1, column + 1];
}
