import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { Scope } from "../../src/schema/tenant.ts";
import type { UsageView } from "../../src/schema/usage.ts";
import { type Api, expectJson } from "../support/api.ts";
import { Batches } from "../support/batches.ts";
import { SocketFollower } from "../support/follow-socket.ts";
import { freshPrompt, startJourney, type Journey } from "../support/journey.ts";
import { askRaw, type Raw } from "../support/raw.ts";
import { SIGNING_KEY } from "../support/signing-key.ts";
import { Operator, TENANT_SCOPES } from "../support/tenants.ts";

const ADMIN_API_KEY = "admin-key-canary-0123456789-0123456789";

type Operation = {
  method: string;
  path: string;
  scope: Scope | null;
};
type Document = {
  paths: Record<string, Record<string, { security?: { bearer?: Scope[] }[] }>>;
};

let journey: Journey;
let operator: Operator;
/** Acme, and whoever would like to know what is Acme's. */
let acme: { key: string; api: Api };
let rival: { key: string; api: Api };
let operations: Operation[];
/** For each scope a key of Acme's that has all others. */
const lacking = new Map<Scope, string>();

beforeAll(async () => {
  journey = await startJourney({ AUTH_MODE: "keys" }, { ADMIN_API_KEY, SIGNING_KEY });
  operator = new Operator(journey.product.url, ADMIN_API_KEY);
  [acme, rival] = [await newTenant("acme"), await newTenant("rival")];
  for (const scope of TENANT_SCOPES) {
    const others = TENANT_SCOPES.filter((other) => other !== scope);
    lacking.set(scope, (await operator.createKey("acme", others)).key);
  }
  lacking.set("admin", acme.key);
  const { paths } = (await (await journey.api.fetch("/openapi.json")).json()) as Document;
  operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { security }]) => {
      const scope = security?.[0]?.bearer?.[0] ?? null;
      return { method: method.toUpperCase(), path, scope };
    }),
  );
});
afterAll(() => journey.close());

async function newTenant(tenant: string) {
  await operator.createTenant(tenant);
  const { key } = await operator.createKey(tenant);
  return { key, api: operator.holderOf(key) };
}

/** Asks with these headers for this job, or whatever else the path names. */
function ask({ method, path }: Operation, headers: object, id = "known"): Promise<Raw> {
  const named: Record<string, string> = { id, tenant: "acme", delivery_id: "msg_x" };
  const url = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => named[name] ?? "none");
  const socket = path.startsWith("/ws");
  // The one that takes something of the caller's about a job: were it refused for that, nothing would be seen.
  const body = path.endsWith("/input") ? JSON.stringify({ request_id: "x", approved: true }) : "";
  const typed = body === "" ? headers : { ...headers, "content-type": "application/json" };
  return askRaw(`${journey.product.url}${url}`, { method, headers: typed, socket, body });
}

function bearing(key: string): object {
  return { authorization: `Bearer ${key}` };
}

/** Without what is another for every answer. */
function told({ status, headers, body }: Raw): unknown {
  const { "x-request-id": _, date: __, ...rest } = headers;
  return { status, headers: rest, body: body.replaceAll(/req_[A-Za-z0-9_-]+/g, "") };
}

const guarded = () => operations.filter(({ path }) => path !== "/health");
const aboutOne = () => guarded().filter(({ path }) => path.includes("{id}"));
const isOfBatches = ({ path }: Operation) => path.startsWith("/api/batches");

describe("every route of the document", () => {
  it("but /health names the one scope it needs", () => {
    expect(guarded().length).toBeGreaterThan(30);
    const nameless = operations.filter(({ scope }) => scope === null);
    expect(nameless.map(({ path }) => path)).toEqual(["/health"]);
    for (const { path, scope } of guarded()) {
      expect(Scope.options).toContain(scope);
      const isForOperators = path.startsWith("/api/admin/") || path === "/metrics";
      expect([path, scope === "admin"]).toEqual([path, isForOperators]);
    }
  });

  it("answers 401, always the same, to no key, a malformed one and any that is not a key of ours", async () => {
    const flipped = acme.key.replace(/.$/, (last) => (last === "0" ? "1" : "0"));
    const gone = await operator.createKey("acme");
    const url = `/api/admin/tenants/acme/keys/${gone.key_id}`;
    expect((await operator.fetch(url, { method: "DELETE" })).status).toBe(204);
    const strangers = ["nonsense", flipped, gone.key].map(bearing);
    for (const operation of guarded()) {
      const keyless = await ask(operation, {});
      expect([operation, keyless.status]).toEqual([operation, 401]);
      expect(JSON.parse(keyless.body)).toMatchObject({ detail: "A valid API key is required" });
      for (const headers of strangers) {
        const answer = await ask(operation, headers);
        expect([operation, told(answer)]).toEqual([operation, told(keyless)]);
      }
    }
  });

  it("answers 403 to a key without its scope, whether or not there is such a thing", async () => {
    await acme.api.submit({ prompt: freshPrompt(), delay_seconds: 600 }, "known");
    await new Batches(acme.api).submit(waitingBatch(), "known");
    for (const operation of guarded()) {
      const key = lacking.get(operation.scope ?? "admin") ?? "";
      const [known, unknown] = [
        await ask(operation, bearing(key)),
        await ask(operation, bearing(key), "unknown"),
      ];
      expect([operation, known.status]).toEqual([operation, 403]);
      expect(JSON.parse(known.body)).toMatchObject({ code: "forbidden" });
      expect(told(unknown)).toEqual(told(known));
    }
    expect(await acme.api.read("known")).toMatchObject({ status: "queued" });
  });

  it("about a job or a batch answers a foreign tenant byte for byte as if there were none, and changes nothing", async () => {
    const { estimated_wait: _, ...before } = await acme.api.read("known");
    const batch = await new Batches(acme.api).read("known");
    expect(aboutOne().filter(isOfBatches).length).toBeGreaterThan(3);
    expect(aboutOne().length).toBeGreaterThan(12);
    for (const operation of aboutOne()) {
      const foreign = await ask(operation, bearing(rival.key));
      expect([operation, foreign.status]).toEqual([operation, 404]);
      const unknown = await ask(operation, bearing(rival.key), "unknown");
      expect(told(foreign)).toEqual(told(unknown));
    }
    expect(await acme.api.read("known")).toMatchObject(before);
    expect(await new Batches(acme.api).read("known")).toEqual(batch);
  });

  it("about a job or a batch knows it for its own tenant", async () => {
    for (const operation of aboutOne().filter(({ path }) => !path.endsWith("/events"))) {
      const id = isOfBatches(operation)
        ? (await new Batches(acme.api).submit(waitingBatch())).batch_id
        : (await acme.api.submit({ prompt: freshPrompt(), delay_seconds: 600 })).job_id;
      const answer = await ask(operation, bearing(acme.key), id);
      expect([operation, answer.body]).not.toEqual([
        operation,
        expect.stringMatching(/(job|batch)-not-found/),
      ]);
    }
  });
});

describe("what is one tenant's", () => {
  it("is in no other's list, and its ids are free for others", async () => {
    await expect
      .poll(async () => (await idsOf(acme.api)).includes("known"), { timeout: 20_000 })
      .toBe(true);
    expect(await idsOf(rival.api)).not.toContain("known");
    const own = await rival.api.submit({ prompt: freshPrompt(), delay_seconds: 600 }, "known");
    expect(own.job_id).toBe("known");
    await rival.api.cancel("known");
    expect(await acme.api.read("known")).toMatchObject({ status: "queued" });
  });

  it("is unknown on a socket of another's that follows many", async () => {
    const { job_id } = await acme.api.submit({ prompt: freshPrompt(), delay_seconds: 600 });
    const socket = await SocketFollower.open(rival.api.url, "/ws", bearing(rival.key));
    for (const id of [job_id, "unknown"]) {
      socket.say({ type: "subscribe", job_id: id });
      const refusal = await socket.frame((frame) => frame.includes(id));
      expect(JSON.parse(refusal)).toEqual({ type: "error", job_id: id, message: "Job not found" });
    }
    socket.socket.terminate();
  });

  it("spends its own budget and rotates its own secret, and no other's", async () => {
    const spender = await newTenant("spender");
    const bystander = await newTenant("bystander");
    const first = await rotate(bystander.api);
    const { job_id } = await spender.api.submit({ prompt: freshPrompt(), model: "gpt-4o" });
    await spender.api.ended(job_id);
    await rotate(spender.api);
    await vi.waitUntil(async () => (await spent(spender.api)) > 0, { timeout: 10_000 });
    expect(await spent(bystander.api)).toBe(0);
    const second = await rotate(bystander.api);
    expect([first.previous_valid_until, second.previous_valid_until === null]).toEqual([
      null,
      false,
    ]);
    expect(second.secret).not.toBe(first.secret);
  });

  it("is read by its own tokens, and by no other's", async () => {
    const { job_id, subscribe_token } = await acme.api.submit({
      prompt: freshPrompt(),
      delay_seconds: 600,
    });
    const theirs = await rival.api.submit({ prompt: freshPrompt(), delay_seconds: 600 }, job_id);
    const page = (token: string) =>
      journey.api.fetch(`/api/jobs/${job_id}/events?token=${token}`, {
        headers: { accept: "application/json" },
      });
    await rival.api.cancel(job_id);
    expect(await expectJson(await page(subscribe_token), 200)).toMatchObject({ status: "queued" });
    expect(await expectJson(await page(theirs.subscribe_token), 200)).toMatchObject({
      status: "cancelled",
    });
  });
});

async function rotate(api: Api): Promise<{ secret: string; previous_valid_until: string | null }> {
  const answer = await api.post("/api/webhook-secret/rotate", { overlap_seconds: 60 });
  return expectJson(answer, 200);
}

async function spent(api: Api): Promise<number> {
  const usage = await expectJson<UsageView>(await api.fetch("/api/usage"), 200);
  return usage.budget.day.spent_usd + usage.budget.day.reserved_usd;
}

/** A batch none of whose jobs is due. */
function waitingBatch(): object {
  return { requests: [{ prompt: freshPrompt(), delay_seconds: 600 }] };
}

async function idsOf(api: Api): Promise<string[]> {
  const answer = await api.fetch("/api/jobs?limit=100");
  const { jobs } = await expectJson<{ jobs: { job_id: string }[] }>(answer, 200);
  return jobs.map(({ job_id }) => job_id);
}
