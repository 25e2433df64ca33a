import { z } from "zod";

import { isProvider } from "../provider/table.ts";
import { Tier } from "../schema/job.ts";

/** More than any number here can sensibly be: 31 years in seconds, 11 days in milliseconds, a gigabyte. */
const MAX_NUMBER = 1_000_000_000;

export const number = (fallback: number, least = 0, most = MAX_NUMBER) =>
  z
    .union([z.number(), z.string().regex(/^\d+$/).transform(Number)], "is not a whole number")
    .pipe(z.number().int().min(least).max(most))
    .default(fallback);

/** What a provider takes in a minute; null: not set. */
export const PerMinute = number(0).nullable();

const Price = z.strictObject({
  input: z.number().min(0).nullable(),
  output: z.number().min(0).nullable(),
});

const Json = z.string().transform((text, context) => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    context.addIssue({ code: "custom", message: "is not JSON" });
    return z.NEVER;
  }
});

/** `600`, or by tier: `{"free": 60, "pro": 600, "enterprise": null}`, null for no limit. */
export const perTier = (limit: z.ZodNumber) =>
  z
    .union([Json, z.number(), z.record(z.string(), z.unknown())])
    .pipe(z.union([limit, z.partialRecord(Tier, limit.nullable())]))
    .transform((set) =>
      typeof set === "number" ? Object.fromEntries(Tier.options.map((tier) => [tier, set])) : set,
    )
    .default({});

export const count = z.number().int().min(0).max(MAX_NUMBER);
export const dollars = z.number().min(0).max(MAX_NUMBER);

/** `MODELS`: `{"openai/gpt-4o": {"input": 2.5, "output": 10}}`, dollars per million tokens, null where unknown. */
export const Models = Json.pipe(
  z.record(z.string().refine(namesProvider, "must be <provider>/<model>"), Price),
);

function namesProvider(name: string): boolean {
  const [provider = "", ...model] = name.split("/");
  return isProvider(provider) && model.join("/") !== "";
}

/** Standard Webhooks: `whsec_` and the base64 of 24 to 64 random bytes. */
export const WebhookSecret = z
  .string()
  // 8 to 21 groups of three bytes, and what is beyond them; behind 21 there is room for one byte.
  .regex(/^whsec_(?!.{86}[^=]=$)([A-Za-z0-9+/]{4}){8,21}([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/, {
    message: "is not whsec_<base64 of 24 to 64 bytes>",
  });

/** A browser's notion of an origin: nothing behind the host, and no wildcard, which would match nothing. */
const ORIGIN = /^https?:\/\/[^\s/?#@\\*]+$/i;

/** `http://127.0.0.1:3000,https://hooks.example.com`: as URL's `origin` spells them, each once. */
export const Origins = z.string().transform((text, context) => {
  const parts = text.split(",").map((part) => part.trim());
  const given = parts.filter((part) => part !== "");
  if (given.every((origin) => ORIGIN.test(origin) && URL.canParse(origin))) {
    return [...new Set(given.map((origin) => new URL(origin).origin))];
  }
  context.addIssue({ code: "custom", message: "is not a list of http(s) origins" });
  return z.NEVER;
});

/** `api.example.com,afterword.acme.workers.dev`: in lower case. */
export const Hosts = z.string().transform((text, context) => {
  const hosts = text.split(",").map((part) => part.trim().toLowerCase());
  const given = hosts.filter((host) => host !== "");
  if (given.every((host) => /^[a-z0-9.-]{1,253}$/.test(host))) return given;
  context.addIssue({ code: "custom", message: "is not a list of host names" });
  return z.NEVER;
});
