import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

import { allFrames } from "./api.ts";

export type OpenApi = { paths: Record<string, Record<string, Operation>> };
type Operation = { responses: Record<string, Answer> };
type Answer = { content?: Record<string, unknown>; headers?: Record<string, Header> };
type Header = { required?: boolean; schema: { type: "string" | "integer" } };
type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

const ROOT = "https://document.example/openapi.json";

/**
 * The product's own document as a judge of its answers. Schemas that list their fields admit no others here:
 * a field that is sent but not written down is as wrong as one that is written down but not sent.
 */
export class OpenApiJudge {
  readonly document: OpenApi;
  readonly #ajv = new Ajv2020({ strict: false, allErrors: true, discriminator: false });

  constructor(document: OpenApi) {
    this.document = document;
    addFormats(this.#ajv);
    this.#ajv.addSchema({ ...(closed(document as unknown as Json) as object), $id: ROOT });
  }

  /** Every answer the document knows: method, path, status. */
  get answers(): string[] {
    return Object.entries(this.document.paths).flatMap(([path, operations]) =>
      Object.entries(operations).flatMap(([method, { responses }]) =>
        Object.keys(responses).map((status) => nameOf(method, path, Number(status))),
      ),
    );
  }

  /** The headers that answers are to have, each after the name of its answer. */
  get headers(): string[] {
    return this.answers.flatMap((answer) => {
      const [method = "", path = "", status = ""] = answer.split(" ");
      const { headers = {} } = this.#answer(method, path, Number(status)) ?? {};
      return Object.keys(headers).map((header) => `${answer} ${header}`);
    });
  }

  /** Those of them that this answer has. */
  headersIn(method: string, path: string, response: Response): string[] {
    const { headers = {} } = this.#answer(method, path, response.status) ?? {};
    const sent = Object.keys(headers).filter((header) => response.headers.has(header));
    return sent.map((header) => `${nameOf(method, path, response.status)} ${header}`);
  }

  /** What is wrong with an answer of this route; empty if nothing. */
  faultsOf(method: string, path: string, response: Response, body: unknown): string[] {
    const answer = this.#answer(method, path, response.status);
    if (answer === undefined) return [`${nameOf(method, path, response.status)} is not documented`];
    return [
      ...this.#faultsOfHeaders(answer, response.headers),
      ...this.#faultsOfBody(answer, [method, path], response, body),
    ];
  }

  #answer(method: string, path: string, status: number): Answer | undefined {
    return this.document.paths[path]?.[method.toLowerCase()]?.responses[status];
  }

  /** One that any answer tells of is told of by each that has it. */
  #faultsOfHeaders({ headers = {} }: Answer, sent: Headers): string[] {
    const listed = new Map(Object.entries(headers).map(([name, one]) => [name.toLowerCase(), one]));
    const known = new Set(this.headers.map((header) => header.split(" ").at(-1)?.toLowerCase()));
    const untold = [...sent.keys()].filter((name) => known.has(name) && !listed.has(name));
    return [
      ...untold.map((name) => `${name} is sent and not documented`),
      ...[...listed].flatMap(([name, { required = false, schema }]) => {
        const value = sent.get(name);
        if (value === null) return required ? [`${name} is documented and not sent`] : [];
        const fits = schema.type === "string" ? value !== "" : /^\d+$/.test(value);
        return fits ? [] : [`${name} is ${value}`];
      }),
    ];
  }

  #faultsOfBody(
    answer: Answer,
    [method, path]: [string, string],
    response: Response,
    body: unknown,
  ): string[] {
    const type = response.headers.get("content-type")?.split(";")[0] ?? null;
    const documented = Object.keys(answer.content ?? {});
    if (type === null)
      return documented.length === 0 ? [] : [`no content, documented: ${documented.join()}`];
    if (!documented.includes(type)) return [`${type} is not documented`];
    const at = [
      "paths",
      path,
      method.toLowerCase(),
      "responses",
      `${response.status}`,
      "content",
      type,
    ];
    return this.faultsAt([...at, "schema"], body);
  }

  /** The same for an answer as it came, which this reads: a stream of events, or of lines, is judged by each. */
  async faultsOfAnswer(method: string, path: string, response: Response): Promise<string[]> {
    const type = response.headers.get("content-type") ?? "";
    const frames = type.startsWith("text/event-stream")
      ? await allFrames(response)
      : textsOf(type, await response.text()).map((data) => ({ data }));
    const bodies = frames.flatMap(({ data = "" }) =>
      data === "" ? [] : [type.includes("metrics-text") ? data : (JSON.parse(data) as unknown)],
    );
    return (bodies.length > 0 ? bodies : [undefined]).flatMap((body) =>
      this.faultsOf(method, path, response, body),
    );
  }

  /** What is wrong with a value by the schema at this place of the document; empty if nothing. */
  faultsAt(place: string[], value: unknown): string[] {
    const pointer = place.map((part) => part.replaceAll("~", "~0").replaceAll("/", "~1"));
    const $ref = `${ROOT}#/${pointer.map(encodeURIComponent).join("/")}`;
    const validate = this.#ajv.compile({ $ref });
    if (validate(value)) return [];
    return (validate.errors ?? []).map(
      ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
    );
  }

  /** The places of all schemas that come with an example, and the examples. */
  get examples(): { place: string[]; example: Json }[] {
    return [...examplesIn(this.document as unknown as Json, [])];
  }
}

function textsOf(type: string, text: string): string[] {
  return type.startsWith("application/x-ndjson") ? text.split("\n") : [text];
}

export function nameOf(method: string, path: string, status: number): string {
  return `${method.toUpperCase()} ${path} ${status}`;
}

function closed(node: Json): Json {
  if (Array.isArray(node)) return node.map(closed);
  if (node === null || typeof node !== "object") return node;
  const inner = Object.fromEntries(
    Object.entries(node).map(([name, value]) => [name, closed(value)]),
  );
  const listed = node["type"] === "object" && "properties" in node;
  return listed && !("additionalProperties" in node)
    ? { ...inner, additionalProperties: false }
    : inner;
}

function* examplesIn(node: Json, place: string[]): Generator<{ place: string[]; example: Json }> {
  if (node === null || typeof node !== "object") return;
  const { example, type, anyOf, oneOf, $ref } = node as Record<string, Json>;
  if (example !== undefined && [type, anyOf, oneOf, $ref].some((word) => word !== undefined)) {
    yield { place, example };
  }
  for (const [name, inner] of Object.entries(node)) {
    if (name !== "example") yield* examplesIn(inner, [...place, name]);
  }
}

/** The routes of the app itself. Imported by a name TypeScript does not follow: its globals are the Worker's, ours Node's. */
export async function servedRoutes(): Promise<{ method: string; path: string }[]> {
  const app: string = "../../src/http/app.ts";
  const { createApp } = (await import(app)) as {
    createApp: () => { routes: { method: string; path: string }[] };
  };
  return createApp().routes.filter(({ method }) => method !== "ALL");
}
