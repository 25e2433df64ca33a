import OpenAI from "openai";
import { Webhook } from "standardwebhooks";
import { Webhook as SvixWebhook } from "svix";

/** A delivery as its receiver got it. */
export type Signed = { text: string; headers: Record<string, string> };

type Verify = (signed: Signed, secret: string) => Promise<void>;

/** What receivers verify a delivery with, each by its package's own code; each throws where it is not genuine. */
export const VERIFIERS: Record<string, Verify> = {
  standardwebhooks: async ({ text, headers }, secret) => {
    new Webhook(secret).verify(text, headers);
  },
  svix: async ({ text, headers }, secret) => {
    new SvixWebhook(secret).verify(text, headers);
  },
  openai: async ({ text, headers }, webhookSecret) => {
    await new OpenAI({ apiKey: "x", webhookSecret }).webhooks.unwrap(text, headers);
  },
};

/** Throws where one of the verifiers does not take the delivery for genuine. */
export async function verifyByAll(signed: Signed, secret: string): Promise<void> {
  for (const verify of Object.values(VERIFIERS)) await verify(signed, secret);
}
