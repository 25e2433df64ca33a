import { z } from "zod";

/** What a browser follows one job by. */
export const Subscription = z
  .object({
    subscribe_token: z.string(),
    events_url: z.string().meta({ description: "With the token, as an EventSource wants it." }),
    expires_at: z.iso.datetime(),
  })
  .meta({
    id: "Subscription",
    example: {
      subscribe_token: "kX3vQ9aB.WyJhY21lIiwidGVzdC0xMjMiLDE3OTM1MzgwMDBd.c2lnbmF0dXJl",
      events_url:
        "/api/jobs/test-123/events?token=kX3vQ9aB.WyJhY21lIiwidGVzdC0xMjMiLDE3OTM1MzgwMDBd.c2lnbmF0dXJl",
      expires_at: "2026-11-01T12:15:00.000Z",
    },
  });
export type Subscription = z.infer<typeof Subscription>;
