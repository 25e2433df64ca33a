import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";

import type { JobView } from "../../src/schema/job.ts";
import { Api, textOf } from "../support/api.ts";
import { atFirst, launchBrowser } from "../support/browser.ts";
import { startProduct, type Product } from "../support/product.ts";
import { sh } from "../support/shell.ts";

let product: Product;
let browser: Browser;
let api: Api;
let page: Page;
/** What the console said in anger, refused scripts and styles included. */
let complaints: string[];

beforeAll(async () => {
  [product, browser] = await Promise.all([
    startProduct({ vars: { RETRY_BASE_MS: "200" } }),
    launchBrowser(),
  ]);
  api = new Api(product.url);
});
afterAll(async () => {
  await browser?.close();
  await product?.close();
});

beforeEach(async () => {
  const context = await browser.newContext({ permissions: ["clipboard-read", "clipboard-write"] });
  page = await context.newPage();
  complaints = [];
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
});
afterEach(async () => {
  await page.context().close();
  expect(complaints).toEqual([]);
});

let prompts = 0;
const freshPrompt = () => `Why is the sky blue on day ${++prompts}?`;

const part = (name: string) => page.getByTestId(name);
const textIn = async (name: string) => (await part(name).textContent()) ?? "";
const statusIs = (status: JobView["status"]) =>
  part("status")
    .filter({ hasText: new RegExp(`^${status}$`) })
    .waitFor();

async function open(hash = ""): Promise<void> {
  await page.goto(`${product.url}/${hash}`);
}

async function submit(model: string, prompt = freshPrompt()): Promise<void> {
  await part("prompt").fill(prompt);
  await part("model").selectOption(model);
  await part("submit").click();
}

/** The job as the page shows it once it shows this field; the page may have shown it before, as it was then. */
async function shownJob(field: keyof JobView = "job_id"): Promise<JobView> {
  await part("job-json")
    .filter({ hasText: `"${field}"` })
    .waitFor();
  return JSON.parse(await textIn("job-json")) as JobView;
}

/** The browser itself logs every answer that is no success; this one the test asked for. */
function expectComplaint(pattern: RegExp): void {
  expect(complaints).toEqual([expect.stringMatching(pattern)]);
  complaints = [];
}

/** The lengths the answer had while the job was still active. */
function recordGrowth() {
  return page.evaluateHandle(() => {
    const lengths: number[] = [];
    const output = document.querySelector("[data-testid=output]") ?? document.body;
    new MutationObserver(() => {
      const status = document.querySelector("[data-testid=status]");
      if (status?.textContent === "active") lengths.push(output.textContent.length);
    }).observe(output, { characterData: true, childList: true, subtree: true });
    return lengths;
  });
}

describe("a job submitted on the page", () => {
  it("grows token by token, then shows the whole answer and the job as JSON", async () => {
    await open();
    const growth = await recordGrowth();
    await submit("gpt-4o");
    await statusIs("completed");

    const job = await shownJob();
    expect(job).toMatchObject({ status: "completed", provider: "simulator" });
    expect(await textIn("output")).toBe(job.result?.content);
    const lengths = (await growth.jsonValue()).filter((length) => length > 0);
    expect(new Set(lengths).size).toBeGreaterThan(5);
    expect(lengths).toEqual(lengths.toSorted((a, b) => a - b));
    expect(await part("progress").getAttribute("value")).toBe("100");
    expect(await part("cancel").isDisabled()).toBe(true);
  });

  it("is submitted by Ctrl+Enter, and its id is shown, linked and in the address", async () => {
    await open();
    await part("prompt").press("Control+Enter");
    await statusIs("completed");
    const id = await textIn("job-id");
    expect((await api.read(id)).status).toBe("completed");
    expect(new URL(page.url()).hash).toBe(`#${id}`);
    expect(await part("job-id").getAttribute("href")).toBe(`#${id}`);
  });

  it("has a short log, with all deltas on one line, and tells how long all took", async () => {
    await open();
    await submit("simulator/standard");
    await statusIs("completed");
    const types = await part("log")
      .locator("li")
      .evaluateAll((rows) => rows.map((row) => (row as HTMLElement).dataset["type"]));
    const end = ["delta", "progress", "progress", "completed"];
    expect(types).toEqual(["queued", "started", "progress", ...end]);
    expect(await textIn("log")).toMatch(/delta × \d+/);
    for (const figure of ["accepted", "first-token", "total"]) {
      expect(await textIn(figure)).toMatch(/^\d+(\.\d+)? m?s$/);
    }
  });

  it("shows the attempt that failed, then the second attempt's text only", async () => {
    await open();
    await submit("simulator/flaky");
    await part("notes")
      .getByText(/^attempt 1 failed: .+ — retrying at .+/)
      .waitFor();
    await statusIs("completed");
    const job = await shownJob();
    expect(job.attempts_made).toBe(2);
    expect(await textIn("attempt")).toBe("2");
    expect(await textIn("output")).toBe(job.result?.content);
  });

  it("drops the text of an attempt that broke off as soon as the next one starts", async () => {
    await open();
    await submit("simulator/cuts");
    await statusIs("failed");
    const events = await api.log(await textIn("job-id"));
    expect(textOf(events, 1)).not.toBe("");
    expect(await textIn("output")).toBe(textOf(events, 3));
    expect(await part("notes").locator("li").count()).toBe(3);
  });

  it("ends cancelled when it is cancelled", async () => {
    await open();
    await submit("simulator/slow");
    await statusIs("active");
    await part("cancel").click();
    await statusIs("cancelled");
    expect(await part("cancel").isDisabled()).toBe(true);
    expect(await shownJob()).toMatchObject({ status: "cancelled" });
  });

  it("can be looked at as JSON before its end", async () => {
    await open();
    await submit("simulator/slow");
    await statusIs("active");
    await part("refresh").click();
    expect(await shownJob()).toMatchObject({ status: "active" });
  });

  it("is submitted once more, under the same key, when the network fails", async () => {
    await open();
    const keys: (string | undefined)[] = [];
    page.on("request", (request) => {
      if (request.method() === "POST") keys.push(request.headers()["idempotency-key"]);
    });
    await page.route(
      "**/api/jobs",
      atFirst((route) => route.abort()),
    );
    await submit("simulator/standard");
    await statusIs("completed");
    expect(keys).toEqual([await textIn("job-id"), await textIn("job-id")]);
    expectComplaint(/net::ERR_FAILED/);
  });

  it("is read to its end by a subscriber whose stream was refused at first", async () => {
    await open();
    await page.route(
      "**/events*",
      atFirst((route) => route.fulfill({ status: 502 })),
    );
    await submit("simulator/standard");
    await part("connection").filter({ visible: true }).waitFor();
    await statusIs("completed");
    expect(await part("connection").isHidden()).toBe(true);
    expect(await textIn("output")).toBe((await shownJob("result")).result?.content);
    expectComplaint(/502/);
  });
});

describe("a link to a job", () => {
  it("replays the whole answer of one that has long ended", async () => {
    const { job_id } = await api.submit({ prompt: freshPrompt(), model: "simulator/standard" });
    const job = await api.ended(job_id);
    await open(`#${job_id}`);
    await statusIs("completed");
    expect(await textIn("output")).toBe(job.result?.content);
    expect(await textIn("log")).toContain("queued");
    expect(await shownJob()).toEqual(job);
  });

  it("says so when there is no such job", async () => {
    await open("#nobody");
    await part("alert").getByText("Job not found").waitFor();
    expectComplaint(/404/);
  });

  it("brings the earlier job back with the browser's Back", async () => {
    await open();
    await submit("simulator/standard");
    await statusIs("completed");
    const first = await textIn("job-id");
    await submit("simulator/slow");
    await part("job-id").filter({ hasNotText: first }).waitFor();
    await page.goBack();
    await part("job-id").filter({ hasText: first }).waitFor();
    await statusIs("completed");
  });
});

describe("a refused request", () => {
  it("shows what the API said, and the alert goes with the next try", async () => {
    await open();
    await submit("gpt-4o", "");
    await part("alert").getByText("prompt is required").waitFor();
    expectComplaint(/400/);
    await submit("gpt-4o");
    await statusIs("completed");
    expect(await part("alert").isHidden()).toBe(true);
  });
});

describe("the curl commands", () => {
  it("submit the very prompt when pasted into a shell, whatever is in it", async () => {
    const prompt = `It's "5 o'clock" in $HOME, \`id\` \\n \\\\ 50% !! é 😀`;
    await open();
    await part("prompt").fill(`${prompt}\nand that's it`);
    await part("model").selectOption("simulator/standard");
    await part("copy-curl").click();
    await part("copy-curl").getByText("Copied").waitFor();
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    expect(copied).toBe(await textIn("curl"));

    const [body = "", status] = (await sh(copied)).split("\n");
    expect(status).toBe("202");
    const { job_id } = JSON.parse(body) as { job_id: string };
    const job = await api.ended(job_id);
    expect(job.result?.content).toContain(`“${prompt} and that's it”`);
  });

  it("watch and poll the job on the page", async () => {
    await open();
    await submit("simulator/standard");
    await statusIs("completed");
    const watched = await sh(await textIn("curl-watch"));
    expect(watched).toContain('"type":"completed"');
    const polled = await sh(await textIn("curl-poll"));
    expect(polled).toContain('"status":"completed"');
  });
});

describe("the page itself", () => {
  it("loads nothing from elsewhere and forbids everything it does not use", async () => {
    const origins = new Set<string>();
    page.on("request", (request) => origins.add(new URL(request.url()).origin));
    const answer = await page.goto(product.url);
    const headers = answer?.headers() ?? {};
    const policy = headers["content-security-policy"];
    expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';/);
    expect(policy).not.toContain("unsafe");
    expect(headers["x-content-type-options"]).toBe("nosniff");
    expect(headers["referrer-policy"]).toBe("no-referrer");
    await submit("simulator/standard");
    await statusIs("completed");
    expect([...origins]).toEqual([product.url]);
  });

  it("fits a screen 360 pixels wide", async () => {
    await page.setViewportSize({ width: 360, height: 740 });
    await open();
    await submit("simulator/standard");
    await statusIs("completed");
    await shownJob();
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    expect(overflow).toBe(0);
  });
});
