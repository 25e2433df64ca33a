import { z } from "zod";

/** More than any provider allows. */
const MOST_PER_MINUTE = 1_000_000_000;

const PerMinute = z.int().min(0).max(MOST_PER_MINUTE).nullable();

const Limits = { requests_per_minute: PerMinute, tokens_per_minute: PerMinute };

export const ProviderOrder = z
  .strictObject({
    requests_per_minute: PerMinute.optional(),
    tokens_per_minute: PerMinute.optional(),
    paused: z.boolean().optional().meta({
      description: "Nothing is called while it is true; jobs wait, and burn no attempt.",
    }),
  })
  .meta({
    id: "ProviderOrder",
    description:
      "0: without limit. Null: as the settings say. What is left out stays as it was ordered before.",
    example: { requests_per_minute: 500, tokens_per_minute: 200_000, paused: false },
  });
export type ProviderOrder = z.infer<typeof ProviderOrder>;

export const ProviderLimits = z.object(Limits);
export type ProviderLimits = z.infer<typeof ProviderLimits>;

const Waiting = z.int().min(0);

export const ProviderView = z
  .object({
    provider: z.string(),
    requests_per_minute: PerMinute.meta({ description: "That holds now; null: without limit." }),
    tokens_per_minute: PerMinute.meta({ description: "That holds now; null: without limit." }),
    paused: z.boolean(),
    blocked_until: z.iso.datetime().nullable().meta({
      description: "The provider has limited us (429, or nothing left): not called before.",
    }),
    parked: z
      .object({ high: Waiting, normal: Waiting, low: Waiting, long: Waiting })
      .meta({ description: "Jobs that wait for their turn, by lane." }),
    ordered: ProviderLimits.meta({ description: "By this API; null: nothing." }),
    configured: ProviderLimits.meta({ description: "By the settings; 0 and null: without limit." }),
    learned: z
      .array(ProviderLimits.extend({ model: z.string(), at: z.iso.datetime() }))
      .meta({ description: "From what the provider's answers say, of each model." }),
  })
  .meta({ id: "ProviderView" });
export type ProviderView = z.infer<typeof ProviderView>;
