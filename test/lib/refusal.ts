import { expect } from "vitest";

import { verifyWebhook, WebhookVerificationError } from "../../lib/webhooks.ts";
import type { WebhookVerificationCode } from "../../lib/webhooks.ts";

/** Why it was refused; null if it was not. Fails if anything but our own error was thrown. */
export async function refusal(
  ...ask: Parameters<typeof verifyWebhook>
): Promise<WebhookVerificationCode | null> {
  try {
    await verifyWebhook(...ask);
    return null;
  } catch (error) {
    expect(error).toBeInstanceOf(WebhookVerificationError);
    return (error as WebhookVerificationError).code;
  }
}
