import { type DescField, type DescMessage, getOption, hasOption } from "@bufbuild/protobuf";
import { field as fieldRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

/** Does something to a message, whose fields it reads by their names. */
type Cut = (message: Fields) => void;
type Fields = Record<string, unknown>;
type Choice = { readonly case: string | undefined; readonly value?: unknown } | undefined;

/**
 * Compiles what cuts the lists and maps of a message to one item more than the contract allows (max_items, max_pairs),
 * which is enough for validation to refuse the message. Validation looks at each item before it counts them, which can
 * take seconds: so this has to be done before. Lists inside of lists stay as they are. Returns undefined for messages
 * whose contract limits no list.
 */
export function compileCut(schema: DescMessage, outer: readonly DescMessage[] = []): Cut | undefined {
  if (outer.includes(schema)) return undefined;
  const cuts = schema.fields.flatMap((field) => compileField(field, [...outer, schema]) ?? []);
  if (cuts.length === 0) return undefined;
  return (message) => {
    for (const cut of cuts) cut(message);
  };
}

function compileField(field: DescField, outer: readonly DescMessage[]): Cut | undefined {
  const { localName } = field;
  const { type } = hasOption(field, fieldRules) ? getOption(field, fieldRules) : {};
  if (field.fieldKind === "list" && type?.case === "repeated") return listCut(localName, type.value.maxItems);
  if (field.fieldKind === "map" && type?.case === "map") return mapCut(localName, type.value.maxPairs);
  if (field.fieldKind !== "message") return undefined;

  const cut = compileCut(field.message, outer);
  if (cut === undefined) return undefined;
  const { oneof } = field;
  if (oneof === undefined) return (message) => cutValue(cut, message[localName]);
  return (message) => {
    const choice = message[oneof.localName] as Choice;
    if (choice?.case === localName) cutValue(cut, choice.value);
  };
}

function cutValue(cut: Cut, value: unknown): void {
  if (value !== undefined) cut(value as Fields);
}

function listCut(name: string, max: bigint): Cut | undefined {
  if (max === 0n) return undefined;
  return (message) => {
    const list = message[name] as unknown[];
    if (list.length > max) list.length = Number(max) + 1;
  };
}

function mapCut(name: string, max: bigint): Cut | undefined {
  if (max === 0n) return undefined;
  return (message) => {
    const entries = Object.entries(message[name] as Fields);
    if (entries.length > max) message[name] = Object.fromEntries(entries.slice(0, Number(max) + 1));
  };
}
