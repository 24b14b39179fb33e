import { create, type DescMessage, type Message, type MessageInitShape } from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import { describe, expect, it } from "vitest";
import { compileCut } from "../../src/contract/item-limits.ts";
import { CollaborativeEditRequestSchema } from "../../src/gen/user/v1/collaborative_edit_pb.ts";
import {
  BatchGetUsersRequestSchema,
  CreateUserRequestSchema,
  GetUserRequestSchema,
  UpdateUserRequestSchema,
} from "../../src/gen/user/v1/user_service_pb.ts";

const validator = createValidator();

function texts(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `t${index}`);
}

function facts(count: number): Record<string, string> {
  return Object.fromEntries(texts(count).map((key) => [key, key]));
}

function steps(count: number): MessageInitShape<typeof CollaborativeEditRequestSchema> {
  const one = { step: { case: "retain", value: 1 } } as const;
  const operationId = "01a1fd7c-edc8-7000-8000-3de84de829f4";
  return { request: { case: "operation", value: { operationId, steps: Array.from({ length: count }, () => one) } } };
}

function cut<S extends DescMessage>(schema: S, value: MessageInitShape<S>) {
  const message = create(schema, value);
  compileCut(schema)?.(message as Message & Record<string, unknown>);
  return message;
}

describe("compileCut", () => {
  it.each<[string, DescMessage, (count: number) => object, number, string]>([
    ["a list", BatchGetUsersRequestSchema, (count) => ({ ids: texts(count) }), 1000, "repeated.max_items"],
    [
      "a list that may be absent",
      CreateUserRequestSchema,
      (count) => ({ tags: texts(count) }),
      50,
      "repeated.max_items",
    ],
    ["a map", CreateUserRequestSchema, (count) => ({ metadata: facts(count) }), 50, "map.max_pairs"],
    [
      "a map in a message",
      UpdateUserRequestSchema,
      (count) => ({ user: { metadata: facts(count) } }),
      50,
      "map.max_pairs",
    ],
    ["a list in a oneof", CollaborativeEditRequestSchema, steps, 1000, "repeated.max_items"],
  ])("leaves %s that is too long long enough to be refused, and others as they are", (_, schema, value, max, rule) => {
    // Each value is one of its schema, which the types of a table do not tell.
    const fitting = create(schema, value(max) as never);
    expect(cut(schema, value(max) as never)).toEqual(fitting);
    const refused = validator.validate(schema, cut(schema, value(max * 10) as never));
    expect(refused.violations?.map(({ ruleId }) => ruleId)).toContain(rule);
    expect(cut(schema, value(max * 10) as never)).toEqual(cut(schema, value(max + 1) as never));
  });

  it("leaves the other members of a oneof alone, and what is absent", () => {
    for (const value of [{ request: { case: "cursor", value: { position: 1 } } }, {}] as const) {
      expect(cut(CollaborativeEditRequestSchema, value)).toEqual(create(CollaborativeEditRequestSchema, value));
    }
    expect(cut(UpdateUserRequestSchema, {})).toEqual(create(UpdateUserRequestSchema));
  });

  it("has nothing to do for messages that hold no list", () => {
    expect(compileCut(GetUserRequestSchema)).toBeUndefined();
  });
});
