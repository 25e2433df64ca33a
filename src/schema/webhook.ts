import { z } from "zod";

const WEEK_SECONDS = 604_800;

export const RotateWebhookSecret = z
  .strictObject({
    overlap_seconds: z.int().min(0).max(WEEK_SECONDS).optional().meta({
      description:
        "How long the secrets before stay valid; 0 ends them at once. Default 86400, a day.",
    }),
  })
  .meta({ id: "RotateWebhookSecret", example: { overlap_seconds: 86_400 } });
export type RotateWebhookSecret = z.infer<typeof RotateWebhookSecret>;

export const WebhookSecretRotated = z
  .object({
    secret: z.string().meta({ description: "Shown this once: `whsec_` and 32 bytes in base64." }),
    previous_valid_until: z.iso.datetime().nullable().meta({
      description: "Until then deliveries are signed with the secret before as well.",
    }),
  })
  .meta({
    id: "WebhookSecretRotated",
    example: {
      secret: "whsec_Zm9yIGV4YW1wbGUgb25seSwgbm90IGEgc2VjcmV0ISE=",
      previous_valid_until: "2026-11-02T12:00:00.000Z",
    },
  });
export type WebhookSecretRotated = z.infer<typeof WebhookSecretRotated>;

export const TestWebhook = z
  .strictObject({ url: z.string().min(1) })
  .meta({ id: "TestWebhook", example: { url: "https://hooks.example.com/afterword" } });
export type TestWebhook = z.infer<typeof TestWebhook>;

export const WebhookTested = z
  .object({
    success: z.boolean().meta({ description: "It answered with a 2xx." }),
    status: z.int().nullable().meta({ description: "Null where there was no answer." }),
    latency_ms: z.int(),
    error: z.string().nullable().meta({ description: "For people: what was wrong." }),
  })
  .meta({
    id: "WebhookTested",
    example: { success: true, status: 204, latency_ms: 83, error: null },
  });
export type WebhookTested = z.infer<typeof WebhookTested>;
