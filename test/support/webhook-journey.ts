import { expect } from "vitest";

import type { DeliveryView } from "../../src/schema/delivery.ts";
import type { CreateJob } from "../../src/schema/job.ts";
import type { WebhookSecretRotated } from "../../src/schema/webhook.ts";
import { BatchWebhookBody, JobWebhookBody } from "../../src/schema/webhook-event.ts";
import { expectJson, type Api } from "./api.ts";
import { expectGenuine } from "./genuine.ts";
import { freshPrompt } from "./journey.ts";
import { OpenApiJudge, type OpenApi } from "./openapi.ts";
import { Receiver, type Received, type Step } from "./receiver.ts";

type Vars = Record<string, string>;

/** A delivery that was proven genuine, read. */
export type Taken = Received & { id: string; event: JobWebhookBody };

/** The same of a batch. */
export type TakenOfBatch = Received & { id: string; event: BatchWebhookBody };

/** A journey whose jobs may send to a receiver of ours, and to `others`: origins. */
export async function startWebhookJourney<J extends { api: Api; close: () => Promise<void> }>(
  start: (vars: Vars) => Promise<J>,
  { others = [], vars = {} }: { others?: string[]; vars?: Vars } = {},
) {
  const receiver = await Receiver.start();
  const allowed = [receiver.origin, ...others].join();
  const journey = await start({ WEBHOOK_ALLOWED_ORIGINS: allowed, ...vars });
  const webhooks = await Webhooks.of(journey.api, receiver);
  const close = async () => {
    await journey.close();
    await receiver.close();
  };
  return { ...journey, receiver, webhooks, close };
}

/** A tenant with webhooks: it knows its secret, and reads no delivery that it has not verified. */
export class Webhooks {
  readonly #api: Api;
  readonly #receiver: Receiver;
  readonly #judge: OpenApiJudge;
  #secret = "";
  #paths = 0;
  #audited = 0;

  private constructor(api: Api, receiver: Receiver, judge: OpenApiJudge) {
    this.#api = api;
    this.#receiver = receiver;
    this.#judge = judge;
  }

  static async of(api: Api, receiver: Receiver): Promise<Webhooks> {
    const document = (await (await api.fetch("/openapi.json")).json()) as OpenApi;
    const webhooks = new Webhooks(api, receiver, new OpenApiJudge(document));
    await webhooks.rotate(0);
    return webhooks;
  }

  /** From now on deliveries must be by the new secret; the old one's are proven first. */
  async rotate(overlap_seconds: number): Promise<{ before: string; secret: string }> {
    await this.audit();
    const answer = await this.#api.post("/api/webhook-secret/rotate", { overlap_seconds });
    const { secret } = await expectJson<WebhookSecretRotated>(answer, 200);
    const before = this.#secret;
    this.#secret = secret;
    return { before, secret };
  }

  /** A path of its own on the receiver, which does there as planned. */
  hook(steps: Step[]): { path: string; webhook_url: string } {
    this.#paths += 1;
    const path = `/hook-${this.#paths}`;
    if (steps.length > 0) this.#receiver.plan(path, ...steps);
    return { path, webhook_url: this.#receiver.url(path) };
  }

  /** Submits a job to a path of its own. */
  async submit(steps: Step[], job: CreateJob = {}): Promise<{ id: string; path: string }> {
    const { path, webhook_url } = this.hook(steps);
    const input = job.messages === undefined ? { prompt: freshPrompt() } : {};
    const { job_id } = await this.#api.submit({ webhook_url, ...input, ...job });
    return { id: job_id, path };
  }

  /** The first `count` deliveries to a path, as soon as there are so many. */
  async taken(path: string, count: number, timeoutMs = 30_000): Promise<Taken[]> {
    const received = await this.#receiver.received(count, { path, timeoutMs });
    return Promise.all(received.map((one) => this.read(one)));
  }

  /** The only delivery of a job there is or will be: it was taken at once. */
  async settled(id: string, path: string): Promise<Taken> {
    await this.deliveriesUntil(id, (all) => all.every(({ status }) => status !== "pending"));
    expect(this.#receiver.at(path)).toHaveLength(1);
    const [only] = await this.taken(path, 1);
    return only ?? expect.fail("nothing came");
  }

  async deliveries(id: string): Promise<DeliveryView[]> {
    const answer = await this.#api.fetch(`/api/jobs/${id}/deliveries`);
    type Listed = { job_id: string; deliveries: DeliveryView[] };
    return (await expectJson<Listed>(answer, 200)).deliveries;
  }

  async deliveriesUntil(
    id: string,
    wanted: (deliveries: DeliveryView[]) => boolean,
    timeout = 30_000,
  ): Promise<DeliveryView[]> {
    let deliveries: DeliveryView[] = [];
    const holds = async () => {
      deliveries = await this.deliveries(id);
      return deliveries.length > 0 && wanted(deliveries);
    };
    await expect.poll(holds, { timeout, interval: 50 }).toBe(true);
    return deliveries;
  }

  replay(id: string, deliveryId: string): Promise<Response> {
    const path = `/api/jobs/${id}/deliveries/${deliveryId}/replay`;
    return this.#api.fetch(path, { method: "POST" });
  }

  /** The first `count` deliveries of batches to a path. */
  async takenOfBatch(path: string, count: number): Promise<TakenOfBatch[]> {
    const received = await this.#receiver.received(count, { path });
    return Promise.all(received.map((one) => this.#readOfBatch(one)));
  }

  /** Proves all that came and was not looked at yet. */
  async audit(): Promise<void> {
    const fresh = this.#receiver.all.slice(this.#audited);
    this.#audited += fresh.length;
    for (const received of fresh) {
      await (received.text.startsWith('{"type":"batch.')
        ? this.#readOfBatch(received)
        : this.read(received));
    }
  }

  /** A delivery that anybody of ours received, proven. */
  async read(received: Received): Promise<Taken> {
    const event = JobWebhookBody.parse(await this.#proven(received));
    expect([event.event, event.data.job_id]).toEqual([event.type, event.job_id]);
    return { ...received, id: received.headers["webhook-id"] ?? "", event };
  }

  async #readOfBatch(received: Received): Promise<TakenOfBatch> {
    const event = BatchWebhookBody.parse(await this.#proven(received));
    expect([event.event, event.data.batch_id]).toEqual([event.type, event.batch_id]);
    return { ...received, id: received.headers["webhook-id"] ?? "", event };
  }

  /** What a delivery tells that is signed by our secret, and as the document says. */
  async #proven(received: Received): Promise<unknown> {
    await expectGenuine(received, this.#secret);
    const event = JSON.parse(received.text) as { type: string };
    const schema = ["post", "requestBody", "content", "application/json", "schema"];
    expect(this.#judge.faultsAt(["webhooks", event.type, ...schema], event)).toEqual([]);
    return event;
  }
}
