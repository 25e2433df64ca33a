import { describe, expect, it } from "vitest";

import { ConfigError, parseConfig } from "../../src/settings/config.ts";
import { SIGNING_KEY } from "../support/signing-key.ts";

const URL = "https://operator.example/alerts";
const SECRET = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;

describe("the settings for dead letters", () => {
  it("have the defaults of the contract, and no webhook", () => {
    const config = parseConfig({ SIGNING_KEY });
    expect(config).toMatchObject({
      DLQ_ALERT_THRESHOLD: 100,
      DEAD_LETTER_RATE: 100,
      DEAD_LETTER_PREVIEW: "on",
    });
    expect(config.OPERATOR_WEBHOOK_URL).toBeUndefined();
  });

  it("take a webhook with its secret, of 24 to 64 bytes", () => {
    for (const bytes of [24, 25, 26, 32, 64]) {
      const OPERATOR_WEBHOOK_SECRET = `whsec_${Buffer.alloc(bytes, 7).toString("base64")}`;
      const env = { SIGNING_KEY, OPERATOR_WEBHOOK_URL: URL, OPERATOR_WEBHOOK_SECRET };
      expect(parseConfig(env)).toMatchObject(env);
    }
  });

  it.each([
    ["OPERATOR_WEBHOOK_SECRET", { OPERATOR_WEBHOOK_URL: URL }],
    ["OPERATOR_WEBHOOK_SECRET", { OPERATOR_WEBHOOK_SECRET: "canary" }],
    ["OPERATOR_WEBHOOK_SECRET", { OPERATOR_WEBHOOK_SECRET: SECRET.replace("whsec_", "canary") }],
    ["OPERATOR_WEBHOOK_SECRET", { OPERATOR_WEBHOOK_SECRET: "whsec_canary" }],
    [
      "OPERATOR_WEBHOOK_SECRET",
      { OPERATOR_WEBHOOK_SECRET: `whsec_${Buffer.alloc(65).toString("base64")}` },
    ],
    ["OPERATOR_WEBHOOK_URL", { OPERATOR_WEBHOOK_URL: "canary", OPERATOR_WEBHOOK_SECRET: SECRET }],
    ["OPERATOR_WEBHOOK_URL", { OPERATOR_WEBHOOK_URL: "ftp://canary.example/" }],
    ["DLQ_ALERT_THRESHOLD", { DLQ_ALERT_THRESHOLD: "canary" }],
    ["DEAD_LETTER_RATE", { DEAD_LETTER_RATE: "1001" }],
    ["DEAD_LETTER_PREVIEW", { DEAD_LETTER_PREVIEW: "canary" }],
  ])("that are wrong are told by name, never by value: %s", (name, env) => {
    const parse = () => parseConfig({ SIGNING_KEY, ...env });
    expect(parse).toThrow(ConfigError);
    expect(parse).toThrow(name);
    expect(parse).not.toThrow("canary");
  });
});
