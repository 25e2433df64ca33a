import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { Api } from "../support/api.ts";
import { freshPrompt, startJourney, type Journey } from "../support/journey.ts";
import { readOpenMetrics, type ReadFamily } from "../support/openmetrics.ts";
import { SIGNING_KEY } from "../support/signing-key.ts";

const ADMIN_API_KEY = "admin-key-canary-0123456789-0123456789";

let journey: Journey;
let admin: Api;
beforeAll(async () => {
  journey = await startJourney({ AUTH_MODE: "keys" }, { ADMIN_API_KEY, SIGNING_KEY });
  admin = new Api(journey.product.url, { authorization: `Bearer ${ADMIN_API_KEY}` });
});
afterAll(() => journey.close());

async function scrape(): Promise<Map<string, ReadFamily>> {
  const answer = await admin.fetch("/metrics");
  expect(answer.headers.get("content-type")).toBe(
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
  );
  return readOpenMetrics(await answer.text());
}

/** The value of a series, by its name and labels. */
function valueIn(families: Map<string, ReadFamily>, name: string, ...labels: string[]) {
  const samples = [...families.values()].flatMap((family) => family.samples);
  return samples.find(
    (sample) => sample.name === name && Object.values(sample.labels).join() === labels.join(),
  )?.value;
}

/** What the document's rules are made of: each rule's name and its expression. */
async function documentedAlerts(): Promise<{ alert: string; expr: string }[]> {
  const text = await readFile("docs/metrics.md", "utf8");
  const rules = text.matchAll(/- alert: (?<alert>\w+)\n +expr: (?<expr>.+)\n/g);
  return [...rules].map(({ groups = {} }) => ({
    alert: groups["alert"] ?? "",
    expr: groups["expr"] ?? "",
  }));
}

describe("a scrape", () => {
  it("tells what became of the jobs, with their tokens and their cost", async () => {
    const answered = await admin.submit({ prompt: freshPrompt("[cut=2 x1][tokens=20]") });
    const refused = await admin.submit({ prompt: freshPrompt("[status=400]") });
    await Promise.all([admin.ended(answered.job_id), admin.ended(refused.job_id)]);
    // Counts are told once they are written, which they are within seconds.
    const told = async () => valueIn(await scrape(), "afterword_jobs_total", "completed");
    await expect.poll(told, { timeout: 20_000, interval: 250 }).toBe(1);
    const failures = async () =>
      valueIn(await scrape(), "afterword_job_failures_total", "provider_rejected");
    await expect.poll(failures, { timeout: 20_000, interval: 250 }).toBe(1);
    const families = await scrape();
    const openai = ["gpt-4o", "openai"];
    expect(
      valueIn(families, "afterword_attempt_retries_total", "provider_unavailable"),
    ).toBeGreaterThan(0);
    expect(valueIn(families, "afterword_tokens_total", ...openai, "output")).toBeGreaterThan(20);
    expect(valueIn(families, "afterword_cost_usd_total", ...openai)).toBeGreaterThan(0);
    expect(valueIn(families, "afterword_wasted_cost_usd_total", ...openai)).toBeGreaterThan(0);
    expect(valueIn(families, "afterword_job_duration_seconds_count")).toBe(1);
    expect(valueIn(families, "afterword_health_ok", "auth")).toBe(1);
    expect(valueIn(families, "afterword_stats_shards_missing")).toBe(0);
  });

  it("has every metric that the document lists, and no other", async () => {
    const text = await readFile("docs/metrics.md", "utf8");
    const listed = [...text.matchAll(/^\| `(afterword_\w+)` +\| (\w+) /gm)].map(
      ([, name = "", type]) => `${type} ${name.replace(/_total$/, "")}`,
    );
    const told = [...(await scrape())].map(([name, { type }]) => `${type} ${name}`);
    expect(new Set(told)).toEqual(new Set(listed));
  });
});

describe("the alerts of the document", () => {
  it("are made of metrics and labels that a real scrape has", async () => {
    const families = await scrape();
    const samples = [...families.values()].flatMap((family) => family.samples);
    const alerts = await documentedAlerts();
    expect(alerts.length).toBeGreaterThan(10);
    for (const { alert, expr } of alerts) {
      const used = [...expr.matchAll(/(afterword_\w+)(?:\{(?<label>\w+)=~?"(?<value>[^"]+)"\})?/g)];
      expect([alert, used.length > 0]).toEqual([alert, true]);
      for (const [text, name, label, value] of used) {
        const found = samples.some(
          (sample) =>
            sample.name === name &&
            (label === undefined || new RegExp(`^(${value})$`).test(sample.labels[label] ?? "")),
        );
        expect([alert, text, found]).toEqual([alert, text, true]);
      }
    }
  });

  it("are each in the table of what to do", async () => {
    const [, table = ""] = (await readFile("docs/metrics.md", "utf8")).split("What to do:");
    const alerts = await documentedAlerts();
    const explained = alerts.filter(({ alert }) => table.includes(`\`${alert}\``));
    expect(explained).toEqual(alerts);
  });
});
