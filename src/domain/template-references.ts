import { MAX_RENDERED_BYTES, type TemplateNode } from "./template.ts";

/**
 * What is known of a job before it runs: its input, and the most that each earlier step's output may count. `measured`: the
 * bytes of what was looked up in the input before, by path; it may be a megabyte, and be named a thousand times.
 */
export type Sizes = {
  input: unknown;
  measured: Map<string, number>;
  outputs: ReadonlyMap<string, number>;
};

/**
 * Why a template may not stand in a step, as the end of a sentence that begins with its field, or null.
 *
 * Outside of sections a name that is neither the job's input nor an earlier step's output can never be anything.
 */
export function referenceFault(
  nodes: TemplateNode[],
  earlier: { has: (step: string) => boolean },
  isScoped = false,
): string | null {
  for (const node of nodes) {
    if (node.type === "text") continue;
    const fault = pathFault(node.path, earlier, isScoped);
    if (fault !== null) return fault;
    if (node.type === "value") continue;
    const inner = referenceFault(node.body, earlier, isScoped || !node.inverted);
    if (inner !== null) return inner;
  }
  return null;
}

function pathFault(
  path: string,
  earlier: { has: (step: string) => boolean },
  isScoped: boolean,
): string | null {
  const [root, step = "", what = "", ...rest] = path.split(".");
  if (root === "input") return null;
  if (root !== "steps") {
    return isScoped ? null : `names "${path}", which is neither input nor a step's output`;
  }
  if (!earlier.has(step)) return `names "${path}", which is of no earlier step`;
  const isKnown = what === "json" || (what === "output" && rest.length === 0);
  return isKnown ? null : `names "${path}", which is neither a step's output nor its json`;
}

/** What a template reads of earlier steps, once for each time it does. */
export function readsOf(nodes: TemplateNode[]): { step: string; asJson: boolean }[] {
  return nodes.flatMap((node) => {
    if (node.type === "text") return [];
    const [root, step = "", what] = node.path.split(".");
    const own = root === "steps" ? [{ step, asJson: what === "json" }] : [];
    return node.type === "section" ? [...own, ...readsOf(node.body)] : own;
  });
}

const encoder = new TextEncoder();

/**
 * The most tokens a template may render to: a token of it is a byte at least, and a list has no more elements than it
 * has tokens. `scope`: the most that what encloses it may be, for a section's names are of what it holds.
 */
export function mostTokensOf(nodes: TemplateNode[], sizes: Sizes, scope = 0): number {
  const sum = nodes.reduce((sum, node) => sum + mostOf(node, sizes, scope), 0);
  return Math.min(MAX_RENDERED_BYTES, sum);
}

function mostOf(node: TemplateNode, sizes: Sizes, scope: number): number {
  if (node.type === "text") return bytesOf(node.text);
  const size = Math.max(scope, sizeAt(node.path, sizes, scope > 0));
  if (node.type === "value") return size;
  if (node.inverted) return mostTokensOf(node.body, sizes, scope);
  const times = scope > 0 ? size : repeats(node.path, sizes, size);
  return times * mostTokensOf(node.body, sizes, size);
}

/** `isScoped`: a section may hold something of the same name, and what that is nobody knows. */
function sizeAt(path: string, { input, measured, outputs }: Sizes, isScoped: boolean): number {
  const [root, ...names] = path.split(".");
  if (root === "steps") return outputs.get(names[0] ?? "") ?? 0;
  if (root !== "input") return 0;
  const key = isScoped ? root : path;
  const bytes =
    measured.get(key) ?? bytesOf(JSON.stringify(isScoped ? input : valueAt(names, input)) ?? "");
  measured.set(key, bytes);
  return bytes;
}

/** How often a section is rendered at most that no other encloses. */
function repeats(path: string, { input }: Sizes, size: number): number {
  const [root, ...names] = path.split(".");
  if (root !== "input") return size;
  const value = valueAt(names, input);
  return Array.isArray(value) ? value.length : 1;
}

function valueAt(names: string[], value: unknown): unknown {
  return names.reduce<unknown>((value, name) => {
    const has = typeof value === "object" && value !== null && Object.hasOwn(value, name);
    return has ? (value as Record<string, unknown>)[name] : undefined;
  }, value);
}

function bytesOf(text: string): number {
  return encoder.encode(text).byteLength;
}
