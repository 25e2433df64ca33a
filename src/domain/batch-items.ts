import type { KeptRequest } from "../schema/job.ts";
import type { HttpPlan } from "./job.ts";
import type { Webhook } from "./webhook.ts";

/** What an item asks for, where its events are to go, and what its `http` steps are sent with. */
export type Item = { request: KeptRequest; webhook?: Webhook; httpSteps?: (HttpPlan | null)[] };

/** What a batch asks for: what all its items share is there once. */
export type BatchItems = {
  defaults: Pick<KeptRequest, "model" | "params" | "metadata" | "priority">;
  items: Item[];
};

/** An item's request as a job gets it: its own words before the batch's; of `params` one by one. */
export function requestOf({ defaults, items }: BatchItems, index: number): KeptRequest | null {
  const item = items[index];
  if (item === undefined) return null;
  const { params } = item.request;
  if (defaults.params === undefined || params === undefined) {
    return { ...defaults, ...item.request };
  }
  return { ...defaults, ...item.request, params: { ...defaults.params, ...params } };
}
