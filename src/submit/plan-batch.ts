import { modelOf } from "../domain/course.ts";
import { SIDE_BY_SIDE } from "../domain/batch.ts";
import type { BatchItems, Item } from "../domain/batch-items.ts";
import { requestOf } from "../domain/batch-items.ts";
import { TIERS } from "../domain/tier.ts";
import { MAX_STORED_REQUEST_BYTES, type Config } from "../settings/config.ts";
import type { BatchItem, CreateBatch } from "../schema/batch.ts";
import type { Tier } from "../schema/job.ts";
import type { ProblemCode } from "../schema/error.ts";
import { keptOf } from "./kept.ts";
import type { Refusal } from "./models.ts";
import { planJob } from "./plan.ts";
import { planHttpSteps } from "./plan-http.ts";
import { planWebhook } from "./plan-webhook.ts";

/** What is wrong with a batch: of an item where `index` says so. */
export type BatchRefusal = Refusal & { index?: number };

export type BatchPlan = {
  items: BatchItems;
  customIds: (string | null)[] | null;
  /** The most each item's job may cost, in billionths of a dollar; null: nobody can tell. */
  worstNano: (number | null)[];
  /** The model each item's job calls first, and whose it is. */
  models: { model: string; user: string | null }[];
  /** How long the longest kept of its jobs is. */
  retentionMs: number;
};

export type BatchPlanned =
  | { ok: true; plan: BatchPlan }
  | { ok: false; code: ProblemCode; refusals: BatchRefusal[] };

/** Work for many: unless it says otherwise it makes way for what somebody waits for. */
const PRIORITY_LEVEL = 8;

/** Most parts of templates looked at in planning a batch, of all its items: a thousand of what one job may have are a minute. */
const MAX_VISITS = 4_000_000;

/** Most bytes of what the items of a batch share, in all their jobs together: each keeps a copy. */
const MAX_COPIED_BYTES = 67_108_864;

/** Faults told at once. */
const MAX_REFUSALS = 50;

type About = { tenant: string; tier: Tier; submittedTo: string; now: number };

/** What a request for a batch comes to: every item is checked as a job of its own would be before any is accepted. */
export async function planBatch(
  request: CreateBatch,
  about: About,
  config: Config,
): Promise<BatchPlanned> {
  const asked: BatchItem[] = request.requests ?? (request.prompts ?? []).map(asItem);
  const sent = await sentWith(asked, about, config);
  if (!sent.ok) return sent;
  const items: BatchItems = {
    defaults: defaultsOf(request, about.tier),
    items: asked.map((item, index) => itemOf(item, sent.with.get(index))),
  };
  const plan: BatchPlan = {
    items,
    customIds: customIdsOf(asked),
    worstNano: [],
    models: [],
    retentionMs: 0,
  };
  const refusals = refusalsIn(plan, about, config);
  if (refusals.length > 0) return { ok: false, code: "invalid-request", refusals };
  return { ok: true, plan };
}

function asItem(prompt: string): BatchItem {
  return { prompt };
}

function defaultsOf({ model, params, metadata }: CreateBatch, tier: Tier): BatchItems["defaults"] {
  return {
    priority: Math.max(PRIORITY_LEVEL, TIERS[tier].bestPriorityLevel),
    ...(model === undefined ? {} : { model }),
    ...(params === undefined ? {} : { params }),
    ...(metadata === undefined ? {} : { metadata }),
  };
}

function itemOf(item: BatchItem, sentWith: SentWith | undefined): Item {
  const { custom_id: _, dedupe_window_seconds: __, ...request } = item;
  return { request: keptOf(request), ...sentWith };
}

/** Null where no item has a name. */
function customIdsOf(asked: BatchItem[]): (string | null)[] | null {
  if (asked.every(({ custom_id }) => custom_id === undefined)) return null;
  return asked.map(({ custom_id }) => custom_id ?? null);
}

/** Plans each item as a job, notes what that came to, and says what is wrong. */
function refusalsIn(plan: BatchPlan, about: About, config: Config): BatchRefusal[] {
  const { defaults, items } = plan.items;
  const { tenant, tier, now } = about;
  const sharedBytes = bytesOf(defaults);
  if (sharedBytes * items.length > MAX_COPIED_BYTES) {
    const detail = `What all items share is larger than ${Math.floor(MAX_COPIED_BYTES / items.length)} bytes, and each has a copy`;
    return [{ pointer: "/params", detail }];
  }
  const identity = { id: "", idempotencyKey: null, fingerprint: "", uid: "" };
  const refusals = new Map<string, BatchRefusal>();
  const toll = { visits: 0 };
  for (const [index, item] of items.entries()) {
    const request = requestOf(plan.items, index);
    if (request === null) throw new Error("an item is missing");
    const planned = planJob(
      { ...identity, request, tenant, tier, now, toll, ...withSteps(item) },
      config,
    );
    if (planned.ok) {
      const { spec, worstNano } = planned;
      plan.worstNano.push(worstNano);
      plan.models.push({ model: modelOf(spec), user: spec.user });
      plan.retentionMs = Math.max(plan.retentionMs, spec.retentionMs, spec.failedRetentionMs);
    } else {
      for (const refusal of planned.refusals) note(refusals, refusal, item, index);
    }
    if (sharedBytes + bytesOf(item.request) > MAX_STORED_REQUEST_BYTES) {
      const detail = `The item is larger than ${MAX_STORED_REQUEST_BYTES} bytes with its numbers written out`;
      note(refusals, { pointer: "", detail }, item, index);
    }
    if (toll.visits > MAX_VISITS) {
      const detail = "The templates of the items take too long to render together";
      return [...refusals.values(), { pointer: "/requests", detail }];
    }
    if (refusals.size >= MAX_REFUSALS) break;
  }
  return [...refusals.values()];
}

/** What the batch says for all its items is wrong once. */
function note(
  refusals: Map<string, BatchRefusal>,
  { pointer, detail }: Refusal,
  { request }: Item,
  index: number,
): void {
  const field = pointer.split("/")[1] ?? "";
  const isShared = ["model", "params"].includes(field) && !(field in request);
  const placed = isShared ? { pointer, detail } : { pointer: at(index, pointer), detail, index };
  refusals.set(`${placed.pointer} ${detail}`, placed);
}

/** A prompt by itself has no fields of its own that could be wrong. */
function at(index: number, pointer: string): string {
  return `/requests/${index}${pointer}`;
}

function withSteps({ httpSteps }: Item): Pick<Item, "httpSteps"> {
  return httpSteps === undefined ? {} : { httpSteps };
}

/** Where an item's events go, and what its `http` steps are sent with. */
type SentWith = Pick<Item, "webhook" | "httpSteps">;

type Sent = { ok: true; with: Map<number, SentWith> } | Extract<BatchPlanned, { ok: false }>;

/** What goes along with those items that send anything themselves. */
async function sentWith(asked: BatchItem[], about: About, config: Config): Promise<Sent> {
  const sent = new Map<number, SentWith>();
  const told = [...asked.entries()].filter(
    ([, item]) => item.steps !== undefined || speaksOfWebhook(item),
  );
  for (let done = 0; done < told.length; done += SIDE_BY_SIDE) {
    const some = told.slice(done, done + SIDE_BY_SIDE);
    const planned = await Promise.all(some.map(([, item]) => sentByOne(item, about, config)));
    for (const [place, one] of planned.entries()) {
      const index = some[place]?.[0] ?? 0;
      if (one.ok) {
        sent.set(index, one.with);
        continue;
      }
      const placed = one.refusals.map(({ pointer, detail }) => ({
        pointer: at(index, pointer),
        detail,
        index,
      }));
      return { ok: false, code: one.code, refusals: placed };
    }
  }
  return { ok: true, with: sent };
}

type SentByOne =
  | { ok: true; with: SentWith }
  | { ok: false; code: ProblemCode; refusals: Refusal[] };

async function sentByOne(item: BatchItem, about: About, config: Config): Promise<SentByOne> {
  const told = await planWebhook(item, about, config);
  if (!told.ok) {
    const code = told.isUrl ? "webhook-url-rejected" : "invalid-request";
    return { ok: false, code, refusals: told.refusals };
  }
  const webhook = told.webhook === null ? {} : { webhook: told.webhook };
  if (item.steps === undefined) return { ok: true, with: webhook };
  const http = await planHttpSteps(item, about, config);
  if (http.ok) return { ok: true, with: { ...webhook, httpSteps: http.httpSteps } };
  const code = http.isUrl ? "step-url-rejected" : "invalid-request";
  return { ok: false, code, refusals: http.refusals };
}

function speaksOfWebhook({ webhook_url, callback_headers, webhook_events }: BatchItem): boolean {
  return webhook_url != null || callback_headers != null || webhook_events !== undefined;
}

function bytesOf(value: unknown): number {
  return new TextEncoder().encode(JSON.stringify(value)).byteLength;
}
