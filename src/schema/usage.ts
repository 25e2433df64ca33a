import { z } from "zod";

const Instant = z.iso.datetime();

/** A day (`2026-11-01`) or an instant; of an instant the day counts. */
const Day = z.union(
  [z.iso.date(), z.iso.datetime({ offset: true })],
  "is not an RFC 3339 date or instant",
);

export const UsageQuery = z.strictObject({
  from: Day.optional().meta({
    description: "The first day, in UTC. Default: the current month's first.",
    example: "2026-11-01",
  }),
  to: Day.optional().meta({
    description:
      "The first day that is left out; an instant's own day is left in. Default: tomorrow.",
    example: "2026-12-01",
  }),
  group_by: z.enum(["model", "day", "user"]).default("day"),
});

const Sums = {
  jobs: z.int().meta({ description: "That have ended." }),
  prompt_tokens: z.int(),
  completion_tokens: z.int(),
  total_tokens: z.int(),
  cost_usd: z.number().meta({ description: "All calls, those whose answer was lost included." }),
  wasted_cost_usd: z.number().meta({ description: "The part of it whose answer was lost." }),
};

const Budget = z.object({
  limit_usd: z.number().nullable().meta({ description: "Null: there is none." }),
  spent_usd: z.number().meta({ description: "By jobs that have ended." }),
  reserved_usd: z.number().meta({ description: "The most that jobs may cost that have not." }),
  resets_at: Instant,
});

const sums = {
  jobs: 12,
  prompt_tokens: 900,
  completion_tokens: 9_000,
  total_tokens: 9_900,
  cost_usd: 0.09225,
  wasted_cost_usd: 0,
};

export const UsageView = z
  .object({
    from: Instant,
    to: Instant.meta({ description: "Exclusive." }),
    group_by: z.enum(["model", "day", "user"]),
    data: z.array(
      z.object({
        model: z.string().optional(),
        day: z.iso.date().optional(),
        user: z.string().nullable().optional().meta({ description: "Null: jobs without one." }),
        ...Sums,
      }),
    ),
    left_out: z.int().meta({ description: "Groups behind the thousandth; the total has them." }),
    total: z.object(Sums),
    budget: z.object({ day: Budget, month: Budget }),
  })
  .meta({
    id: "TenantUsage",
    description:
      "What the jobs submitted in these days came to, as far as they have ended. A job belongs to the day it was submitted in.",
    example: {
      from: "2026-11-01T00:00:00.000Z",
      to: "2026-12-01T00:00:00.000Z",
      group_by: "day",
      data: [{ day: "2026-11-22", ...sums }],
      left_out: 0,
      total: sums,
      budget: {
        day: {
          limit_usd: 5,
          spent_usd: 0.09225,
          reserved_usd: 0.041,
          resets_at: "2026-11-23T00:00:00.000Z",
        },
        month: {
          limit_usd: null,
          spent_usd: 0.09225,
          reserved_usd: 0.041,
          resets_at: "2026-12-01T00:00:00.000Z",
        },
      },
    },
  });
export type UsageView = z.infer<typeof UsageView>;
