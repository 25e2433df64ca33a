import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { mostTokensOf } from "../../src/domain/template-references.ts";
import { MAX_RENDERED_BYTES, parseTemplate, renderTemplate } from "../../src/domain/template.ts";

const encoder = new TextEncoder();
const bytesOf = (text: string) => encoder.encode(text).byteLength;

function most(template: string, input: unknown, outputs: Record<string, number> = {}): number {
  const parsed = parseTemplate(template);
  if (!parsed.ok) throw new Error(parsed.fault);
  const sizes = { input, measured: new Map(), outputs: new Map(Object.entries(outputs)) };
  return mostTokensOf(parsed.nodes, sizes);
}

describe("the most a template may count", () => {
  it.each([
    ["its own bytes", "é!", {}, 3],
    ["the bytes of what it takes of the input", "{{input.a}}", { a: "éé" }, 6],
    ["nothing for what is not there", "{{input.b}}", { a: "x" }, 0],
    ["what an earlier output may count", "{{steps.a.output}}.{{steps.a.json.x}}", null, 201],
    ["a section for each element", "{{#input.l}}ab{{/input.l}}", { l: [1, 2, 3] }, 6],
    ["a section of what is no list once", "{{#input.l}}ab{{/input.l}}", { l: 1 }, 2],
    [
      "a section in another for as much as there is, whatever that holds of the same name",
      "{{#input.l}}{{#input.m}}x{{/input.m}}{{/input.l}}",
      { l: [{ input: { m: [1, 2, 3] } }] },
      31,
    ],
    ["an inverted section once", "{{^input.l}}ab{{/input.l}}", { l: [1, 2] }, 2],
    ["an output's elements, as many as its tokens", "{{#steps.a.json}}ab{{/steps.a.json}}", 0, 200],
  ])("is %s", (_, template, input, tokens) => {
    expect(most(template, input, { a: 100 })).toBe(tokens);
  });

  it("is found by measuring the input once, however often it is named", () => {
    let measured = 0;
    const toJSON = () => `${(measured += 1)}`;
    expect(most("{{input.a}}".repeat(100), { a: { toJSON } })).toBe(300);
    expect(measured).toBe(1);
  });

  it("is never more than a template may render to", () => {
    const lists = "{{#steps.a.json}}{{steps.a.output}}{{/steps.a.json}}";
    expect(most(lists, null, { a: 100_000 })).toBe(MAX_RENDERED_BYTES);
  });

  it("is no less than what it renders to, whatever its input and the outputs are", () => {
    const tag = fc.constantFrom(
      "input",
      "input.a",
      "input.b.c",
      "steps.s.output",
      "steps.s.json.a",
    );
    const value = tag.map((path) => `{{${path}}}`);
    const inner = fc.constantFrom("{{.}}", "{{a}}", "{{input}}", "{{input.a}}", "{{a.b}}", "{{c}}");
    const nested = fc.tuple(fc.constantFrom(".", "a", "b", "input.a"), inner);
    const body = fc.oneof(
      inner,
      fc.constant("words"),
      nested.map(([path, said]) => `{{#${path}}}${said}{{/${path}}}`),
    );
    const path = fc.constantFrom("input", "input.a", "input.b", "steps.s.json", "steps.s.json.a");
    const section = fc
      .tuple(path, fc.array(body, { maxLength: 3 }))
      .map(([path, said]) => `{{#${path}}}${said.join("")}{{/${path}}}`);
    const template = fc.array(fc.oneof(value, section, fc.constant("é")), { maxLength: 5 });
    const { data } = fc.letrec((tie) => ({
      data: fc.oneof(
        { maxDepth: 4, withCrossShrink: true },
        fc.string({ maxLength: 5 }),
        fc.integer(),
        fc.array(tie("data"), { maxLength: 4 }),
        fc.dictionary(fc.constantFrom("a", "b", "c", "input"), tie("data"), { maxKeys: 3 }),
      ),
    }));
    fc.assert(
      fc.property(template, data, data, (parts, input, json) => {
        const output = JSON.stringify(json);
        const said = renderTemplate(
          parts.join(""),
          { input, steps: { s: { output, json } } },
          "none",
        );
        const bound = most(parts.join(""), input, { s: bytesOf(output) });
        if (said.ok) expect(bytesOf(said.text)).toBeLessThanOrEqual(bound);
      }),
      { numRuns: 2_000 },
    );
  });
});
