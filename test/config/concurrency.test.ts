import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { LANES, type Lane } from "../../src/domain/lane.ts";
import { parseConfig } from "../../src/settings/config.ts";
import { concurrencyOf } from "../../src/settings/limit-setting.ts";
import { SIGNING_KEY } from "../support/signing-key.ts";

/** The most the autoscaler gives a queue that sets no limit of its own (platform limit). */
const UNSET = 250;

/** How many consumers a lane's queue has in wrangler.toml. */
function consumersOf(lane: Lane): number {
  const [, ...consumers] = readFileSync("wrangler.toml", "utf8").split("[[queues.consumers]]");
  const mine = consumers.find((text) => text.includes(`queue = "jobs-${lane}"\n`));
  if (mine === undefined) throw new Error(`no consumer of ${lane}`);
  const set = /^max_concurrency = (\d+)/m.exec(mine)?.[1];
  return set === undefined ? UNSET : Number(set);
}

describe("calls of a lane at once, at one provider,", () => {
  it.each(LANES)(
    "are nine tenths of the consumers of %s, so that some are free for messages",
    (lane) => {
      const concurrency = concurrencyOf("openai", parseConfig({ SIGNING_KEY }));
      expect(concurrency[lane]).toBe(0.9 * consumersOf(lane));
    },
  );

  it("are a third of that for all that http steps ask, so that models have places whatever is slow", () => {
    const set = { SIGNING_KEY, LANE_CONCURRENCY_LOW: "2" };
    const places = { high: 75, normal: 75, low: 1, long: 15 };
    expect(concurrencyOf("http", parseConfig(set))).toEqual(places);
  });

  it("are as many as is set, one at least", () => {
    const set = { SIGNING_KEY, LANE_CONCURRENCY_LOW: "7" };
    expect(concurrencyOf("openai", parseConfig(set))).toEqual({
      high: 225,
      normal: 225,
      low: 7,
      long: 45,
    });
    expect(() => parseConfig({ SIGNING_KEY, LANE_CONCURRENCY_LONG: 0 })).toThrow(
      "LANE_CONCURRENCY_LONG",
    );
  });
});
