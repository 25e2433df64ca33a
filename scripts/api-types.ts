import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { z } from "zod";

import {
  BatchAccepted,
  BatchReplayed,
  BatchResult,
  BatchRetried,
  BatchView,
  CreateBatch,
} from "../src/schema/batch.ts";
import { DeliveryView } from "../src/schema/delivery.ts";
import { Problem } from "../src/schema/error.ts";
import { Connected, EventPage, JobEvent } from "../src/schema/event.ts";
import { JobInput, StepView } from "../src/schema/job-steps.ts";
import { AttemptView, CreateJob, JobAccepted, JobReplayed, JobView } from "../src/schema/job.ts";
import { JobList, JobListQuery } from "../src/schema/listing.ts";
import { Subscription } from "../src/schema/token.ts";

/**
 * Writes the wire's shapes as plain TypeScript, from the zod schemas that the server reads and writes by. A type that
 * is inferred from zod would bring zod into the program of everybody who imports it.
 *
 * `--check`: writes nothing, and fails where the file is not what the schemas say.
 */

const FILE = "lib/api-types.ts";

/** What the library speaks of; what they are made of comes with them. */
const ROOTS = [
  CreateJob,
  JobAccepted,
  JobReplayed,
  JobView,
  JobListQuery,
  JobList,
  JobEvent,
  Connected,
  EventPage,
  AttemptView,
  StepView,
  JobInput,
  CreateBatch,
  BatchAccepted,
  BatchReplayed,
  BatchView,
  BatchRetried,
  BatchResult,
  DeliveryView,
  Subscription,
  Problem,
];

type Shape = z.core.JSONSchema.BaseSchema;

// Only here: as a query of the HTTP document it is a list of parameters, and has no name.
z.globalRegistry.add(JobListQuery, { id: "JobListQuery" });
const { schemas } = z.toJSONSchema(z.globalRegistry, { io: "input" });

function main(): void {
  const written = formatted(fileOf(namesFrom(ROOTS.map(nameOf))));
  if (!process.argv.includes("--check")) return writeFileSync(FILE, written);
  if (readFileSync(FILE, "utf8") === written) return;
  console.error(`${FILE} is not what src/schema/ says: npm run types`);
  process.exitCode = 1;
}

function fileOf(names: Set<string>): string {
  const head = "// Made by scripts/api-types.ts from src/schema/: `npm run types`.\n";
  const types = Array.from(
    names,
    (name) => `${docOf(shapeOf(name))}export type ${name} = ${typeOf(shapeOf(name))};\n`,
  );
  return [head, ...types].join("\n");
}

/** These and all that they refer to, each before what it is made of. */
function namesFrom(roots: string[]): Set<string> {
  const names = new Set(roots);
  // A set yields what is added while it is read.
  for (const name of names) {
    const words = JSON.stringify(shapeOf(name)).matchAll(/"\$ref":"(\w+)"/g);
    for (const [, part = ""] of words) names.add(part);
  }
  return names;
}

function nameOf(schema: z.ZodType): string {
  const name = z.globalRegistry.get(schema)?.id;
  if (name === undefined) throw new Error("what the library speaks of needs an id");
  return name;
}

function shapeOf(name: string): Shape {
  const shape = schemas[name];
  if (shape === undefined) throw new Error(`src/schema/ has no ${name}`);
  return shape;
}

function typeOf(shape: Shape): string {
  if (shape.$ref !== undefined) return shape.$ref;
  if (shape.const !== undefined) return JSON.stringify(shape.const);
  if (shape.enum !== undefined) return shape.enum.map((value) => JSON.stringify(value)).join(" | ");
  const choice = shape.oneOf ?? shape.anyOf;
  if (choice !== undefined) return choice.map(typeOf).join(" | ");
  if (Array.isArray(shape.type)) {
    return shape.type.map((type) => typeOf({ ...shape, type })).join(" | ");
  }
  switch (shape.type) {
    case "object":
      return objectOf(shape);
    case "array":
      return `(${typeOf(shape.items as Shape)})[]`;
    case "integer":
      return "number";
    case "string":
    case "number":
    case "boolean":
    case "null":
      return shape.type;
    default:
      return "unknown";
  }
}

function objectOf({ properties, required, additionalProperties }: Shape): string {
  if (properties === undefined) return `Record<string, ${typeOf(additionalProperties as Shape)}>`;
  const fields = Object.entries(properties).map(([name, of]) => {
    const shape = of as Shape;
    const sign = required?.includes(name) ? "" : "?";
    return `${docOf(shape)}${name}${sign}: ${typeOf(shape)};\n`;
  });
  return `{\n${fields.join("")}}`;
}

function docOf({ description }: Shape): string {
  return description === undefined ? "" : `/** ${description} */\n`;
}

function formatted(text: string): string {
  const tool = "node_modules/oxfmt/bin/oxfmt";
  const args = [tool, `--stdin-filepath=${FILE}`];
  return execFileSync(process.execPath, args, { input: text, encoding: "utf8" });
}

main();
