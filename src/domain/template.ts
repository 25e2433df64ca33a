import Mustache, { type TemplateSpans } from "mustache";

/** A template as it was parsed. A path is what stands in the tag, such as `steps.outline.json.title`. */
export type TemplateNode =
  | { type: "text"; text: string }
  | { type: "value"; path: string }
  /** `inverted`: rendered where there is nothing, and with no scope of its own. */
  | { type: "section"; path: string; inverted: boolean; body: TemplateNode[] };

/** How a value is written between the braces. `{{{x}}}` and `{{&x}}` are written as they are in each of them. */
export type Escaping = "none" | "json" | "url";

export type Rendered = { ok: true; text: string } | { ok: false; reason: string };

/** Most characters of a template that holds a tag (the library looks at each of them), tags of it, characters of a tag, and sections inside each other. */
export const MAX_TEMPLATE_CHARS = 262_144;
const MAX_TAGS = 256;
const MAX_TAG_CHARS = 512;
const MAX_NESTING = 8;

/** Most bytes of UTF-8 of what templates render to that share their bounds. */
export const MAX_RENDERED_BYTES = 1_048_576;

/** Most parts of them that are looked at in rendering: lists in lists multiply, even where they say nothing. */
const MAX_VISITS = 200_000;

/** What parsing made of a template; `fault`: the end of a sentence that begins with its field. */
export type Parsed = { ok: true; nodes: TemplateNode[] } | { ok: false; fault: string };

/**
 * Parses a Mustache template. What could take in more than what is here is refused: partials, and other delimiters.
 *
 * The tags are measured first, for the library's expressions take quadratic time over long tags and over many.
 */
export function parseTemplate(template: string): Parsed {
  if (!hasTags(template)) return { ok: true, nodes: [{ type: "text", text: template }] };
  const fault = tagsFault(template);
  if (fault !== null) return { ok: false, fault };
  try {
    const nodes = nodesOf(new Mustache.Writer().parse(template) as TemplateSpans);
    return depthOf(nodes) > MAX_NESTING
      ? { ok: false, fault: `has more than ${MAX_NESTING} sections inside each other` }
      : { ok: true, nodes };
  } catch {
    // All that the library can still find fault with.
    return { ok: false, fault: "has a section that is not closed or not opened" };
  }
}

/** Whether there is anything to parse; most texts are as they are. */
export function hasTags(template: string): boolean {
  return template.includes("{{");
}

function tagsFault(template: string): string | null {
  if (template.length > MAX_TEMPLATE_CHARS)
    return `is longer than ${MAX_TEMPLATE_CHARS} characters`;
  let tags = 0;
  for (let at = template.indexOf("{{"); at !== -1; tags++) {
    const end = template.indexOf("}}", at);
    if (end === -1) return "has a tag that is not closed";
    if (end - at > MAX_TAG_CHARS) return `has a tag of more than ${MAX_TAG_CHARS} characters`;
    const fault = tagFault(template.slice(at + 2, end).trim(), template[end + 2] === "}");
    if (fault !== null) return fault;
    at = template.indexOf("{{", end + 2);
  }
  return tags > MAX_TAGS ? `has more than ${MAX_TAGS} tags` : null;
}

/** A name, or the mark of what a tag does before it. */
const TAG = /^(?<mark>[#^/&{!>=]?)\s*(?<path>[^]*)$/;
const PATH = /^(\.|[^.{}]+(\.[^.{}]+)*)$/;

function tagFault(tag: string, isTriple: boolean): string | null {
  const { mark = "", path = "" } = TAG.exec(tag)?.groups ?? {};
  if (mark === "!") return null;
  if (mark === ">") return "has a partial";
  if (mark === "=") return "changes the delimiters";
  if (mark === "{" && !isTriple) return "has a tag that is not closed";
  return PATH.test(path) ? null : "has a tag without a valid name";
}

function nodesOf(spans: TemplateSpans): TemplateNode[] {
  return spans.flatMap((span): TemplateNode[] => {
    const [type, said, , , body] = span;
    if (type === "text") return [{ type, text: said }];
    if (type === "#" || type === "^") {
      const inner = Array.isArray(body) ? nodesOf(body) : [];
      return [{ type: "section", path: said, inverted: type === "^", body: inner }];
    }
    return type === "name" || type === "&" ? [{ type: "value", path: said }] : [];
  });
}

function depthOf(nodes: TemplateNode[]): number {
  const depths = nodes.map((node) => (node.type === "section" ? 1 + depthOf(node.body) : 0));
  return Math.max(0, ...depths);
}

/**
 * Renders a template. What a path does not find is nothing; what is not a string is JSON. `data`: as JSON.parse
 * makes it. `bounds`: shared by all that are rendered for one step. Throws where the template does not parse.
 */
export function renderTemplate(
  template: string,
  data: object,
  escaping: Escaping,
  bounds = new Bounds(),
): Rendered {
  if (!hasTags(template)) return { ok: true, text: template };
  try {
    return { ok: true, text: new Renderer(escaping, bounds).render(template, new Scope(data)) };
  } catch (error) {
    if (error instanceof TooMuch) return { ok: false, reason: error.message };
    throw error;
  }
}

/** Thrown where rendering would take too long, or come to too much. */
class TooMuch extends Error {
  override name = "TooMuch";
}

const encoder = new TextEncoder();

/** What rendering has looked at, where others are counted with it. */
export type Toll = { visits: number };

/** Counts what rendering does, and what comes of it: a step may have thousands of templates that each come to little. */
export class Bounds {
  readonly #whole: Toll;
  #visits = 0;
  #bytes = 0;

  /** `whole`: to which what is counted here is added. */
  constructor(whole: Toll = { visits: 0 }) {
    this.#whole = whole;
  }

  visit(parts: number): void {
    this.#visits += parts + 1;
    this.#whole.visits += parts + 1;
    if (this.#visits > MAX_VISITS) throw new TooMuch("The templates take too long to render");
  }

  write(text: string): string {
    this.#bytes += encoder.encode(text).byteLength;
    if (this.#bytes <= MAX_RENDERED_BYTES) return text;
    throw new TooMuch(`The templates render to more than ${MAX_RENDERED_BYTES} bytes`);
  }
}

/** The library's renderer, within bounds. */
class Renderer extends Mustache.Writer {
  readonly #escaping: Escaping;
  readonly #bounds: Bounds;

  constructor(escaping: Escaping, bounds: Bounds) {
    super();
    this.#escaping = escaping;
    this.#bounds = bounds;
  }

  override renderTokens(...args: Parameters<Mustache.Writer["renderTokens"]>): string {
    this.#bounds.visit(args[0].length);
    return super.renderTokens(...args);
  }

  override rawValue([, text = ""]: string[]): string {
    return this.#bounds.write(text);
  }

  override escapedValue([, path = ""]: string[], scope: Mustache.Context): string {
    return this.#bounds.write(escaped(scope.lookup(path), this.#escaping));
  }

  override unescapedValue([, path = ""]: string[], scope: Mustache.Context): string {
    return this.#bounds.write(textOf(scope.lookup(path)));
  }
}

/**
 * The library's scope, over what the data itself holds: the library also finds what an object inherits, and calls it
 * where it is a function.
 */
class Scope extends Mustache.Context {
  override push(view: unknown): Scope {
    return new Scope(view, this);
  }

  /** The nearest scope that has the path's first name has the rest of it, or nobody has. */
  override lookup(path: string): unknown {
    if (path === ".") return this.view;
    const [first = "", ...rest] = path.split(".");
    if (!has(this.view, first)) return this.parent?.lookup(path);
    return rest.reduce<unknown>(within, within(this.view, first));
  }
}

function has(value: unknown, name: string): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name);
}

function within(value: unknown, name: string): unknown {
  return has(value, name) ? value[name] : undefined;
}

/** A value as it is written where nothing is escaped. */
function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  return value === undefined || value === null ? "" : JSON.stringify(value);
}

/** In JSON a string's characters stand between quotation marks of the template's own. */
function escaped(value: unknown, escaping: Escaping): string {
  switch (escaping) {
    case "none":
      return textOf(value);
    case "json":
      if (value === null) return "null";
      return typeof value === "string" ? JSON.stringify(value).slice(1, -1) : textOf(value);
    case "url":
      return encodeURIComponent(textOf(value).toWellFormed());
  }
}
