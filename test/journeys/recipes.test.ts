import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { expectJson, expectProblem } from "../support/api.ts";
import { answerOf, startJourney, type Journey } from "../support/journey.ts";
import { answer, Receiver } from "../support/receiver.ts";
import { follow } from "../support/recipes.ts";

const PAGE = "docs/recipes.md";

/** The keys that recipes give to others, and nobody is shown again. */
const SEARCH_KEY = "search-key-3b1f9c";
const MAIL_KEY = "mail-key-77aa02";

const HITS = [
  { title: "Rayleigh", text: 'Small things scatter "short" waves.' },
  { title: "Tyndall", text: "So does smoke." },
];

let receiver: Receiver;
let journey: Journey;
beforeAll(async () => {
  receiver = await Receiver.start();
  journey = await startJourney({ WEBHOOK_ALLOWED_ORIGINS: receiver.origin });
});
afterAll(async () => {
  await journey?.close();
  await receiver?.close();
});

function followed(heading: string): Promise<string> {
  const { origin } = receiver;
  const origins = { "https://search.example.com": origin, "https://mail.example.com": origin };
  return follow(journey.api, PAGE, heading, origins);
}

/** The calls whose prompt begins so, in their order. */
function callsFor(beginning: string) {
  return journey.provider.calls.filter(({ prompt }) => prompt.startsWith(beginning));
}

function onlyCallFor(beginning: string) {
  const [call, ...more] = callsFor(beginning);
  if (call === undefined) throw new Error(`no call for "${beginning}"`);
  expect(more).toEqual([]);
  return call;
}

/** Everything that an owner can read of a job. */
async function allOf(id: string): Promise<string> {
  const paths = ["", "/steps", "/attempts", "/events", "/deliveries"];
  const texts = paths.map(async (path) =>
    (await journey.api.fetch(`/api/jobs/${id}${path}`)).text(),
  );
  return (await Promise.all(texts)).join("\n");
}

describe("the recipe", () => {
  it("that summarises and translates asks two models, the second for what the first said", async () => {
    const id = await followed("Summarise, then translate");
    const summary = onlyCallFor("Summarise in one sentence:\n\nAir scatters");
    const translation = onlyCallFor("Translate into French");
    expect([summary.model, translation.model]).toEqual(["gpt-4o-mini", "gpt-4o"]);
    expect(translation.prompt.endsWith(`\n\n${answerOf(summary)}`)).toBe(true);
    const { result } = await journey.api.read(id);
    expect(result?.content).toBe(answerOf(translation));
  });

  it("that retrieves and answers shows its steps as progress, and its key to nobody", async () => {
    const path = "/find?q=Why%20is%20the%20sky%20blue%3F&limit=3";
    receiver.plan(path, answer(200, {}, JSON.stringify({ hits: HITS })));
    const id = await followed("Retrieve, then answer");
    const [search, ...more] = receiver.at(path);
    expect(more).toEqual([]);
    expect(search?.headers["authorization"]).toBe(`Bearer ${SEARCH_KEY}`);
    const draft = onlyCallFor("Answer from these sources alone.");
    for (const { title, text } of HITS) expect(draft.prompt).toContain(`## ${title}\n${text}`);
    const final = onlyCallFor("Make this draft shorter");
    expect(final.prompt).toContain(`Draft: ${answerOf(draft)}`);
    const events = await journey.api.log(id);
    const progress = events.flatMap((event) =>
      event.type === "progress" ? [[event.progress, event.step]] : [],
    );
    expect(progress).toEqual([
      [0, "Retrieving context"],
      [15, "Building prompt"],
      [20, "Calling LLM (step 1)"],
      [50, "Processing intermediate result"],
      [60, "Calling LLM (step 2)"],
      [90, "Formatting output"],
      [100, "Complete"],
    ]);
    const { result } = await journey.api.read(id);
    expect(result?.content).toBe(`${answerOf(final)}\n\nSources: Rayleigh; Tyndall;`);
    const told = (await allOf(id)) + JSON.stringify(journey.product.harness.getLogs());
    expect(told).toContain("Retrieving context");
    expect(told).not.toContain(SEARCH_KEY);
  });

  it("that drafts and sends sends nothing before it is approved, and then this very mail", async () => {
    receiver.plan("/send", 503, answer(202));
    const id = await followed("Draft, approve, send");
    const draft = answerOf(onlyCallFor("Write a short, friendly mail about the delay of order 7."));
    const events = await journey.api.log(id);
    const approved = events.find((e) => e.type === "step_completed" && e.step === "Approving");
    const sent = receiver.at("/send");
    // The mail service was away at first.
    expect(sent).toHaveLength(2);
    for (const { at, text, headers } of sent) {
      expect(at).toBeGreaterThanOrEqual(Date.parse(approved?.at ?? ""));
      const mail = { to: "ada@example.com", subject: "Your order 7", text: draft };
      expect(JSON.parse(text)).toEqual(mail);
      expect(headers["authorization"]).toBe(`Bearer ${MAIL_KEY}`);
    }
    const keys = sent.map(({ headers }) => headers["idempotency-key"]);
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/./);
    expect(callsFor("Write a short")).toHaveLength(1);
    const told = (await allOf(id)) + JSON.stringify(journey.product.harness.getLogs());
    expect(told).not.toContain(MAIL_KEY);
  });
});

describe("the recipe that classifies", () => {
  const LABELS = ["praise", "complaint", "question"];
  const texts = Array.from({ length: 200 }, (_, at) => `What customer ${at} wrote`);
  const labelOf = (at: number) => LABELS[at % LABELS.length] ?? "";

  it("has a label for each of two hundred texts, whose answers are JSON of the schema", async () => {
    for (const [at, text] of texts.entries()) {
      const tokens = [JSON.stringify({ label: labelOf(at) })];
      journey.script(text, () => ({ kind: "answer", tokens }));
    }
    const env = { ...process.env, AFTERWORD_URL: journey.product.url };
    const running = promisify(execFile)(process.execPath, ["examples/recipes/classify.js"], {
      env,
    });
    running.child.stdin?.end(`${texts.join("\n")}\n`);
    const { stdout } = await running;
    const lines = stdout.trim().split("\n");
    expect(lines).toEqual(texts.map((_, at) => `line-${at + 1} ${labelOf(at)}`));
    const calls = journey.provider.calls.filter(({ prompt }) => prompt.startsWith("What customer"));
    expect(calls).toHaveLength(200);
    const schema = { type: "json_schema", json_schema: { name: "classification", strict: true } };
    for (const { body, model } of calls) {
      expect(model).toBe("gpt-4o-mini");
      expect(body.response_format).toMatchObject(schema);
    }
  }, 120_000);

  it("takes jobs of several steps as well, whose headers are kept as those of any", async () => {
    const { api } = journey;
    receiver.plan("/item", answer(200, {}, "item"));
    const secret = "batch-header-canary-9d2e";
    const step = {
      type: "http",
      name: "Asking",
      url: receiver.url("/item"),
      headers: { authorization: `Bearer ${secret}` },
    };
    const requests = [{ steps: [step] }, { prompt: "One of a batch" }];
    const accepted = await expectJson<{ batch_id: string; job_ids: string[] }>(
      await api.post("/api/batches", { requests }),
      202,
    );
    const [id = ""] = accepted.job_ids;
    const whole = async () => (await api.fetch(`/api/batches/${accepted.batch_id}`)).json();
    await expect
      .poll(whole, { timeout: 30_000 })
      .toMatchObject({ is_complete: true, status_counts: { completed: 2 } });
    expect(await api.read(id)).toMatchObject({ result: { content: "item" } });
    expect(receiver.at("/item").map(({ headers }) => headers["authorization"])).toEqual([
      `Bearer ${secret}`,
    ]);
    const results = await (await api.fetch(`/api/batches/${accepted.batch_id}/results`)).text();
    const logs = JSON.stringify(journey.product.harness.getLogs());
    expect((await allOf(id)) + results + logs).not.toContain(secret);
    const bad = { requests: [requests[1], { steps: [{ ...step, url: "https://10.0.0.1/" }] }] };
    const refused = await api.post("/api/batches", bad);
    const problem = await expectProblem(refused, 422, "step-url-rejected");
    expect(problem.errors?.[0]?.pointer).toBe("/requests/1/steps/0/url");
  });
});

describe("a step's headers", () => {
  const secret = "step-header-canary-51c0";
  const steps = [
    { type: "template", name: "Beginning", template: "{{input}}" },
    {
      type: "http",
      name: "Asking",
      url: "https://search.example.com/asked",
      headers: { authorization: `Bearer ${secret}` },
    },
  ];

  it("go along with the job that repeats theirs, and are in no dead letter", async () => {
    const { api } = journey;
    receiver.plan("/asked", 404, 404, answer(200, {}, "found"));
    const url = receiver.url("/asked");
    const job = { steps: [steps[0], { ...steps[1], url }], input: "x" };
    const { job_id } = await api.submit(job, "with-headers");
    const failed = await api.ended(job_id);
    expect(failed).toMatchObject({
      status: "failed",
      error: "HTTP 404 from the step's URL",
      error_code: "provider_rejected",
    });
    const letter = await api.fetch(`/api/admin/dead-letter/${failed.dlq_id}`);
    const { request } = await expectJson<{ request: object }>(letter, 200);
    expect(request).toMatchObject({ steps: [{ name: "Beginning" }, { name: "Asking", url }] });
    expect(JSON.stringify(request)).not.toContain(secret);
    const again = await api.retry(job_id);
    const failedAgain = await api.ended(again.job_id);
    expect(failedAgain.status).toBe("failed");
    const retried = await api.post(`/api/admin/dead-letter/${failedAgain.dlq_id}/retry`, {});
    const { new_job_id } = await expectJson<{ new_job_id: string }>(retried, 200);
    const done = await api.ended(new_job_id);
    expect(done).toMatchObject({ status: "completed", result: { content: "found" } });
    const asked = receiver.at("/asked").map(({ headers }) => headers["authorization"]);
    expect(asked).toEqual(Array(3).fill(`Bearer ${secret}`));
    const told = await Promise.all([job_id, again.job_id, new_job_id].map(allOf));
    const logs = JSON.stringify(journey.product.harness.getLogs());
    expect([...told, logs].join("\n")).not.toContain(secret);
  });

  it("are part of what a submission says", async () => {
    const { api } = journey;
    const other = { ...steps[1], headers: { authorization: "Bearer another" } };
    const window = { dedupe_window_seconds: 60, input: "x" };
    receiver.plan("/asked", answer(200));
    const job = (step: object | undefined) => ({
      ...window,
      steps: [{ ...step, url: receiver.url("/asked") }],
    });
    const first = await api.submit(job(steps[1]));
    const same = await expectJson<{ job_id: string }>(await api.send(job(steps[1])), 200);
    expect(same.job_id).toBe(first.job_id);
    expect((await api.submit(job(other))).job_id).not.toBe(first.job_id);
    const reused = await api.send({ ...job(other), dedupe_window_seconds: 0 }, "with-headers");
    await expectProblem(reused, 422, "idempotency-key-reused");
  });
});

describe("a job of several steps that does not fit", () => {
  const prompt = "Never asked";
  const step = { type: "llm", name: "a", prompt };
  const http = { type: "http", name: "look up", url: "https://search.example.com/" };

  it.each<[string, object, RegExp, string]>([
    ["steps besides a prompt", { prompt, steps: [step] }, /exactly one of prompt/, "/prompt"],
    ["an input for no steps", { prompt, input: {} }, /^input needs steps$/, "/input"],
    ["a step of no kind", { steps: [{ ...step, type: "loop" }] }, /./, "/steps/0/type"],
    ["two steps of one name", { steps: [step, step] }, /same name/, "/steps/1/name"],
    [
      "a step that reads a later one",
      {
        steps: [
          { ...step, prompt: "{{steps.b.output}}" },
          { ...step, name: "b" },
        ],
      },
      /of no earlier step/,
      "/steps/0/prompt",
    ],
    ["a step's unknown model", { steps: [{ ...step, model: "gpt-0" }] }, /gpt-0/, "/steps/0/model"],
    [
      "a step's header that is ours",
      { steps: [{ ...http, headers: { Host: "x" } }] },
      /^headers.Host: is not the caller's to set$/,
      "/steps/0/headers/Host",
    ],
  ])("is refused with 400 for %s", async (_, job, error, pointer) => {
    const problem = await expectProblem(await journey.api.send(job), 400, "invalid-request");
    expect(problem.error).toMatch(error);
    expect(problem.errors?.map((fault) => fault.pointer)).toContain(pointer);
  });

  it.each([
    ["an address inside a network", "https://10.0.0.1/find"],
    ["ourselves", "OWN/api/jobs"],
    ["whatever host its input names", "https://{{input.host}}/find"],
  ])("is refused with 422 for a step that asks %s", async (_, url) => {
    const asked = { ...http, url: url.replace("OWN", journey.product.url) };
    const response = await journey.api.send({ steps: [step, asked], input: { host: "a.example" } });
    const problem = await expectProblem(response, 422, "step-url-rejected");
    expect(problem.errors?.map(({ pointer }) => pointer)).toEqual(["/steps/1/url"]);
  });

  it("never reached a model", () => {
    expect(callsFor(prompt)).toEqual([]);
  });
});
