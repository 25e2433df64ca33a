import { describe, expect, it } from "vitest";

import { Canaries } from "./canaries.ts";

const canaries = new Canaries();
const secret = canaries.plant("prompt");
const key = canaries.plant("key", { plain: true });
const base64 = (text: string) => Buffer.from(text).toString("base64");

describe("a canary is found", () => {
  it.each<[string, string]>([
    ["as it is", `{"event":"x","text":"${secret}"}`],
    ["as JSON has it", JSON.stringify({ event: "x", text: secret })],
    ["as JSON in JSON has it", JSON.stringify({ line: JSON.stringify({ text: secret }) })],
    ["in a path", new URL(`https://x.example/${encodeURIComponent(secret)}`).href],
    ["in a query", new URLSearchParams({ token: secret }).toString()],
    ["in base64", base64(secret)],
    ["in base64, behind a byte", base64(`x${secret}`)],
    ["in base64, behind two bytes", base64(`xy${secret}`)],
    ["in base64url, amid other bytes", Buffer.from(`xyz${secret}xyz`).toString("base64url")],
    ["in hex", Buffer.from(secret).toString("hex")],
    ["by its beginning", `… ${secret.slice(0, 12)} …`],
    ["by its end", `… ${secret.slice(-12)}`],
    ["by its middle", `…${secret.slice(30, 42)}…`],
  ])("%s", (_, text) => {
    expect(canaries.in(text)).toEqual(["prompt"]);
    expect(canaries.leaks(["nothing", text])).toEqual([{ found: ["prompt"], text }]);
  });

  it("by its name, each by its own", () => {
    expect(canaries.names).toEqual(["prompt", "key"]);
    expect(canaries.in(`${secret} ${key}`)).toEqual(["prompt", "key"]);
  });
});

it("what is too short to be one is none, nor is another secret", () => {
  expect(canaries.in(secret.slice(0, 11))).toEqual([]);
  expect(canaries.in(new Canaries().plant("other"))).toEqual([]);
});
