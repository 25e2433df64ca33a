import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { readsOf, referenceFault } from "../../src/domain/template-references.ts";
import {
  MAX_RENDERED_BYTES,
  parseTemplate,
  renderTemplate,
  type Escaping,
  type TemplateNode,
} from "../../src/domain/template.ts";

const DATA = {
  input: {
    title: "Rain & <shine>",
    count: 3,
    none: null,
    no: false,
    list: [{ name: "a" }, { name: "b" }],
    words: ["x", "y"],
    text: 'say "hi"\n',
  },
  steps: { "Build it": { output: "built", json: { id: 7, tags: ["t"] } } },
};

function rendered(template: string, escaping: Escaping = "none", data: object = DATA): string {
  const result = renderTemplate(template, data, escaping);
  if (!result.ok) throw new Error(result.reason);
  return result.text;
}

function nodesOf(template: string): TemplateNode[] {
  const parsed = parseTemplate(template);
  if (!parsed.ok) throw new Error(parsed.fault);
  return parsed.nodes;
}

function faultOf(template: string): string | null {
  const parsed = parseTemplate(template);
  return parsed.ok ? null : parsed.fault;
}

describe("a template", () => {
  it.each([
    ["without a tag", "plain { } }} text", "plain { } }} text"],
    ["with text, which no HTML is made of", "{{input.title}}", "Rain & <shine>"],
    ["with a number", "{{input.count}}", "3"],
    ["with false", "{{input.no}}", "false"],
    ["with an object", "{{input.list}}", '[{"name":"a"},{"name":"b"}]'],
    ["with nothing", "<{{input.none}}{{input.missing}}{{input.a.b.c}}>", "<>"],
    ["with an output", "{{steps.Build it.output}}", "built"],
    ["with a part of an output", "{{steps.Build it.json.id}}", "7"],
    ["with an element of a list", "{{input.words.1}}", "y"],
    ["in three braces", "{{{input.title}}}", "Rain & <shine>"],
    ["with a list", "{{#input.list}}[{{name}}]{{/input.list}}", "[a][b]"],
    ["with a list of words", "{{#input.words}}{{.}},{{/input.words}}", "x,y,"],
    ["with what is there", "{{#input.title}}yes{{/input.title}}", "yes"],
    ["with what is not there", "{{^input.missing}}none{{/input.missing}}", "none"],
    ["with a comment", "a{{! not said }}b", "ab"],
    ["with the outer in the inner", "{{#input.list}}{{input.count}}{{/input.list}}", "33"],
    ["with spaces in its tags", "{{ input.count }}{{# input.no }}x{{/ input.no }}", "3"],
  ])("%s", (_, template, text) => {
    expect(rendered(template)).toBe(text);
  });

  it.each([
    "{{input.constructor}}",
    "{{input.constructor.name}}",
    "{{input.__proto__}}",
    "{{input.toString}}",
    "{{input.title.length}}",
    "{{input.title.constructor.name}}",
    "{{#input.list}}{{constructor}}{{hasOwnProperty}}{{hasOwnProperty}}{{/input.list}}",
    "{{input.list.map}}",
    "{{#input.valueOf}}x{{/input.valueOf}}",
  ])("finds nothing that its data only inherits: %s", (template) => {
    expect(rendered(template)).toBe("");
  });

  it("finds what the data holds itself under the names of what others inherit", () => {
    const data: object = JSON.parse('{"input":{"__proto__":"p","constructor":"c","toJSON":1}}');
    expect(rendered("{{input.__proto__}}{{input.constructor}}", "none", data)).toBe("pc");
    expect(rendered("{{input}}", "none", data)).toBe(JSON.stringify(Reflect.get(data, "input")));
  });

  it("is not taken for one where a value looks like one", () => {
    const data = { input: { text: "{{input.secret}}", secret: "s" } };
    expect(rendered("{{input.text}}", "none", data)).toBe("{{input.secret}}");
  });

  it("writes values so that they end nothing they stand in", () => {
    expect(rendered('{"q":"{{input.text}}","n":{{input.count}},"z":{{input.none}}}', "json")).toBe(
      '{"q":"say \\"hi\\"\\n","n":3,"z":null}',
    );
    expect(rendered("?q={{input.title}}&n={{input.count}}", "url")).toBe(
      "?q=Rain%20%26%20%3Cshine%3E&n=3",
    );
    expect(rendered("{{&input.title}}", "url")).toBe("Rain & <shine>");
    expect(rendered("{{input.x}}", "url", { input: { x: "\ud800" } })).toBe("%EF%BF%BD");
  });
});

/** Characters that mean something where text stands, or are written in an odd way. */
const character = fc.constantFrom(
  ...String.raw`a " ' \ { } & = % + / # ? é 😀`.split(" "),
  ..." \n\0\u2028\ud800\udc00\ufeff".split(""),
);

it("a string in JSON and in a URL comes out as it went in", () => {
  fc.assert(
    fc.property(fc.string({ unit: character }), (text) => {
      const data = { input: text };
      expect(JSON.parse(rendered('"{{input}}"', "json", data))).toBe(text);
      const url = new URL(`https://a.example/?q=${rendered("{{input}}", "url", data)}&z=1`);
      expect(url.searchParams.get("q")).toBe(text.toWellFormed());
      expect(url.searchParams.get("z")).toBe("1");
    }),
  );
});

/** What templates are made of. */
const PIECES =
  "{{ }} { } # / ^ & ! > = input steps.a.output . x {{#input}} {{/input}} {{input.a}} }}} {{{input}}}"
    .split(" ")
    .concat(" ", "\n");

it("whatever a template is, it parses or says why, and what parses renders", () => {
  const piece = fc.constantFrom(...PIECES);
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 14 }), fc.jsonValue(), (pieces, input) => {
      const template = pieces.join("");
      const parsed = parseTemplate(template);
      if (parsed.ok) expect(renderTemplate(template, { input }, "none").ok).toBe(true);
      else expect(parsed.fault).toMatch(/^(has|changes|is) /);
    }),
    { numRuns: 2_000 },
  );
});

describe("a template that is refused", () => {
  it.each([
    ["a partial", "{{>other}}", "has a partial"],
    ["other delimiters", "{{=<% %>=}}", "changes the delimiters"],
    ["an open tag", "a {{input.x", "has a tag that is not closed"],
    ["an open tag of three", "{{{input.x}} }", "has a tag that is not closed"],
    ["an empty tag", "{{}}", "has a tag without a valid name"],
    ["a path with a hole", "{{input..x}}", "has a tag without a valid name"],
    ["an open section", "{{#input.a}}x", "has a section that is not closed or not opened"],
    ["a closed section", "x{{/input.a}}", "has a section that is not closed or not opened"],
    [
      "crossed sections",
      "{{#input}}{{#input.a}}{{/input}}{{/input.a}}",
      "has a section that is not closed or not opened",
    ],
    ["a long tag", `{{${"x".repeat(600)}}}`, "has a tag of more than 512 characters"],
    ["many tags", "{{input}}".repeat(257), "has more than 256 tags"],
    [
      "deep sections",
      `${"{{#input}}".repeat(9)}${"{{/input}}".repeat(9)}`,
      "has more than 8 sections inside each other",
    ],
    ["a long text", `{{input}}${" ".repeat(262_144)}`, "is longer than 262144 characters"],
  ])("has %s", (_, template, fault) => {
    expect(faultOf(template)).toBe(fault);
  });
});

describe("a template that would come to too much", () => {
  const list = Array.from({ length: 1_000 }, () => "x".repeat(100));
  const [open, close] = ["{{#input}}", "{{/input}}"];

  it("is not rendered beyond its bytes", () => {
    const all = renderTemplate(`${open}{{input}}${close}`, { input: list }, "none");
    expect(all).toEqual({
      ok: false,
      reason: `The templates render to more than ${MAX_RENDERED_BYTES} bytes`,
    });
    const half = "é".repeat(MAX_RENDERED_BYTES / 2);
    expect(renderTemplate("{{input}}", { input: half }, "none").ok).toBe(true);
    expect(renderTemplate("{{input}}!", { input: half }, "none").ok).toBe(false);
  });

  it("is not rendered beyond its time, though it says nothing", () => {
    const silent = renderTemplate(`${open.repeat(4)}${close.repeat(4)}`, { input: list }, "none");
    expect(silent).toEqual({ ok: false, reason: "The templates take too long to render" });
  });
});

describe("what a template may name", () => {
  const earlier = new Set(["Build it"]);

  it.each([
    "{{input}}",
    "{{input.a.b}}",
    "{{steps.Build it.output}}",
    "{{steps.Build it.json}}",
    "{{steps.Build it.json.a.0}}",
    "{{#input.list}}{{name}}{{.}}{{#deeper}}{{x}}{{/deeper}}{{/input.list}}",
    "{{^input.list}}{{input.other}}{{/input.list}}",
    "{{#steps.Build it.json.list}}{{name}}{{/steps.Build it.json.list}}",
  ])("is %s", (template) => {
    expect(referenceFault(nodesOf(template), earlier)).toBeNull();
  });

  it.each([
    ["{{name}}", 'names "name", which is neither input nor a step\'s output'],
    ["{{^input.a}}{{name}}{{/input.a}}", /neither input nor/],
    ["{{.}}", /neither input nor/],
    ["{{steps.Later.output}}", 'names "steps.Later.output", which is of no earlier step'],
    ["{{#input.a}}{{steps.Later.output}}{{/input.a}}", /of no earlier step/],
    ["{{steps}}", /of no earlier step/],
    ["{{steps.Build it}}", /neither a step's output nor its json/],
    ["{{steps.Build it.output.x}}", /neither a step's output nor its json/],
    ["{{#steps.Build it.text}}x{{/steps.Build it.text}}", /neither a step's output nor its json/],
  ])("is not %s", (template, fault) => {
    expect(referenceFault(nodesOf(template), earlier)).toMatch(fault);
  });

  it("is told once for each time", () => {
    const template =
      "{{steps.a.output}}{{#input.x}}{{steps.b.json.y}}{{steps.a.output}}{{/input.x}}";
    expect(readsOf(nodesOf(template))).toEqual([
      { step: "a", asJson: false },
      { step: "b", asJson: true },
      { step: "a", asJson: false },
    ]);
  });
});
