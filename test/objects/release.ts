import { runInDurableObject } from "cloudflare:test";

import type { Call } from "../support/faulty.ts";
import { objectOf } from "./support.ts";
import { straight } from "./worker-side.ts";

/** All an object keeps, as JSON: bytes are `{"$utf8": …}`. */
export type Kept = { rows: [string, unknown][]; alarm: number | null };

/** One call of a job's object: when, what was asked, what was answered, and what it keeps since then if that changed. */
export type Exchange = {
  at: number;
  method: string;
  args: unknown[];
  answer: unknown;
  kept?: Kept;
};

/** What a release's Worker and object said to each other over each story's life, and what its owner was told at last. */
export type Release = Record<string, { exchanges: Exchange[]; told: Told }>;
export type Told = { status: number; body: Record<string, unknown> };

/** The way as it is, written down. */
export function recorded(exchanges: Exchange[]): (name: string) => Call {
  return (name) => async (method, args) => {
    const at = Date.now();
    const answer = await straight(name)(method, args);
    const { args: asked, told } = plain({ args, told: answer ?? null });
    const exchange = { at, method, args: asked, answer: told };
    const [kept, before] = [await keptBy(name), exchanges.findLast((past) => past.kept)?.kept];
    const same = JSON.stringify(kept) === JSON.stringify(before);
    exchanges.push(same ? exchange : { ...exchange, kept });
    return answer;
  };
}

/** As it is after a way through JSON. */
export function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}

/** An object of another release: what that had no name for does not get through, either way. */
export function across(release: Release): (name: string) => Call {
  const shapes = shapesOf(release);
  return (name) => async (method, args) => {
    const known = shapes.get(method);
    if (known === undefined) {
      throw new TypeError(`The RPC receiver does not implement the method "${method}".`);
    }
    const asked = args.slice(0, known.args.length).map((arg, at) => strip(arg, known.args[at]));
    return strip(await straight(name)(method, asked), known.answer);
  };
}

/** The fields a value was ever seen to have. None: it is no object, or one whose fields are the caller's own. */
export type Shape = { fields: Map<string, Shape>; items: Shape | undefined };
type Method = { args: Shape[]; answer: Shape };

export function shapesOf(release: Release): Map<string, Method> {
  const shapes = new Map<string, Method>();
  for (const { method, args, answer } of Object.values(release).flatMap(
    (story) => story.exchanges,
  )) {
    const known = shapes.get(method) ?? { args: [], answer: shapeless() };
    for (const [at, arg] of args.entries()) widen((known.args[at] ??= shapeless()), arg);
    widen(known.answer, answer);
    shapes.set(method, known);
  }
  return shapes;
}

function shapeless(): Shape {
  return { fields: new Map(), items: undefined };
}

function widen(shape: Shape, value: unknown): void {
  if (Array.isArray(value)) {
    shape.items ??= shapeless();
    for (const item of value) widen(shape.items, item);
  } else if (typeof value === "object" && value !== null) {
    for (const [name, field] of Object.entries(value)) {
      const known = shape.fields.get(name) ?? shapeless();
      shape.fields.set(name, known);
      widen(known, field);
    }
  }
}

/** What is left of a value once everything that has no place in the shape is taken out. */
export function strip(value: unknown, shape: Shape | undefined): unknown {
  if (shape === undefined) return value;
  if (Array.isArray(value)) return value.map((item) => strip(item, shape.items));
  if (typeof value !== "object" || value === null || shape.fields.size === 0) return value;
  const known = Object.entries(value).filter(([name]) => shape.fields.has(name));
  return Object.fromEntries(
    known.map(([name, field]) => [name, strip(field, shape.fields.get(name))]),
  );
}

export function keptBy(name: string): Promise<Kept> {
  return runInDurableObject(objectOf(name), async (_object, { storage }) => {
    const rows = JSON.stringify([...storage.kv.list()], (_key, value: unknown) =>
      value instanceof Uint8Array ? { $utf8: new TextDecoder().decode(value) } : value,
    );
    return { rows: JSON.parse(rows) as Kept["rows"], alarm: await storage.getAlarm() };
  });
}

/** Puts into an object that has nothing yet what another release's object had kept. */
export function keep(name: string, { rows, alarm }: Kept): Promise<void> {
  return runInDurableObject(objectOf(name), async (_object, { storage }) => {
    for (const [key, value] of rows) storage.kv.put(key, withBytes(value));
    if (alarm !== null) await storage.setAlarm(alarm);
  });
}

function withBytes(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (_key, field: unknown) => {
    const text = field instanceof Object ? Reflect.get(field, "$utf8") : undefined;
    return typeof text === "string" ? new TextEncoder().encode(text) : field;
  });
}
