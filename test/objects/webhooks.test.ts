import { describe, expect, it } from "vitest";

import { verifyWebhook } from "../../lib/webhooks.ts";
import { completedBody, OLD_SECRET, SECRET, signed } from "../lib/signed.ts";

describe("verifyWebhook in workerd", () => {
  const { body, headers } = signed(completedBody(), { secrets: [OLD_SECRET, SECRET] });
  const request = (text: string) =>
    new Request("https://receiver.example/webhooks", { method: "POST", body: text, headers });

  it("takes a request's own body and headers", async () => {
    const { headers: given } = request(body);
    const event: unknown = JSON.parse(body);
    expect(await verifyWebhook(await request(body).arrayBuffer(), given, SECRET)).toEqual(event);
    expect(await verifyWebhook(await request(body).bytes(), given, SECRET)).toEqual(event);
    expect(await verifyWebhook(await request(body).text(), given, OLD_SECRET)).toEqual(event);
  });

  it("refuses one that was changed", async () => {
    const { headers: given } = request(body);
    const changed = await request(`${body} `).arrayBuffer();
    await expect(verifyWebhook(changed, given, SECRET)).rejects.toMatchObject({ code: "no_match" });
  });
});
