import { setTimeout as sleep } from "node:timers/promises";

import type { JobAccepted, JobView } from "../src/schema/job.ts";
import { insist, Lost, type Answer, type Client } from "./client.ts";
import { isOver, type Entry, type Journal } from "./journal.ts";

/** What the API of the product under the soak has, by its own document. */
export type Features = { retry: boolean; remove: boolean; deadLetters: boolean };

/** What a job's calls meet (test/support/provider-behaviour.ts), most often nothing. */
const FAULTS = [
  ...Array.from({ length: 14 }, () => ""),
  "[status=500 x1]",
  "[status=503 x2]",
  "[status=429 retry-after=1 x1]",
  "[cut=3 every=20 x1]",
  "[cut=2 reset x1]",
  "[cut=0 x1]",
  "[hang x1]",
  "[silent=3 x1]",
  "[malformed x1]",
  "[empty x1]",
  "[noChoices x1]",
  "[status=500]",
  "[status=400]",
  "[hang]",
];

/** One client with one job, whose doings are decided by its own random numbers. */
export class Visitor {
  readonly #client: Client;
  readonly #journal: Journal;
  readonly #features: Features;
  readonly #random: () => number;

  constructor(client: Client, journal: Journal, features: Features, random: () => number) {
    this.#client = client;
    this.#journal = journal;
    this.#features = features;
    this.#random = random;
  }

  #plan(): { entry: Entry; job: object } {
    const number = this.#journal.entries.length + 1;
    const fault = FAULTS[Math.floor(this.#random() * FAULTS.length)] ?? "";
    const tokens = 5 + Math.floor(this.#random() * 60);
    const prompt = `Soak ${number} ${fault}[tokens=${tokens} every=${this.#below(60)}]`;
    const maxAttempts = 1 + this.#below(4);
    const key = this.#chance(0.75) ? `soak-${number}` : null;
    const entry = this.#journal.open({ prompt, tokens, maxAttempts, key });
    const delay = this.#chance(0.1) ? { delay_seconds: 1 + this.#below(5) } : {};
    return { entry, job: { prompt, max_attempts: maxAttempts, ...delay } };
  }

  /** From its submission to the last thing it does. */
  async visit(): Promise<void> {
    const { entry, job } = this.#plan();
    await this.#submit(entry, job);
    if (entry.id === null) return;
    await Promise.all([
      this.#chance(0.3) ? this.#follow(entry, entry.id) : null,
      this.#chance(0.15) ? this.#cancel(entry, entry.id) : null,
      this.#chance(0.1) && entry.key !== null ? this.#submit(entry, job) : null,
      this.#chance(0.05) && entry.key !== null ? this.#abuse(entry.key) : null,
    ]);
    const view = await this.#ended(entry.id);
    if (view === null) return;
    if (this.#features.retry && view.status !== "completed" && this.#chance(0.5)) {
      await this.#repeat(entry, entry.id);
    }
    if (this.#features.remove && this.#chance(0.05)) await this.#remove(entry, entry.id);
  }

  /** Once, several times at once, or, with a key, as often as it takes to be answered. */
  async #submit(entry: Entry, job: object): Promise<void> {
    const ask = () => this.#client.submit(job, entry.key);
    if (entry.key === null) return this.#note(entry, ask);
    const times = this.#chance(0.15) ? 5 : 1;
    const insisted = () => insist(() => this.#counted(entry, ask));
    await Promise.all(Array.from({ length: times }, () => this.#note(entry, insisted)));
  }

  async #counted(entry: Entry, ask: () => Promise<Answer>): Promise<Answer> {
    try {
      const answer = await ask();
      if (answer.status === 503) entry.lost++;
      return answer;
    } catch (error) {
      if (error instanceof Lost) entry.lost++;
      throw error;
    }
  }

  async #note(entry: Entry, ask: () => Promise<Answer>): Promise<void> {
    try {
      const { status, body } = await ask();
      // Deleted meanwhile, or nobody's: the key is held all the same.
      if (status === 410 || status === 503) return;
      if (status !== 202 && status !== 200) throw new Error(`HTTP ${status} to a submission`);
      const { job_id } = body as JobAccepted;
      if (status === 202) entry.accepted++;
      if (entry.id !== null && entry.id !== job_id) {
        this.#journal.violated(job_id, `invariant 6: its key also names ${entry.id}`);
      }
      entry.id = job_id;
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
    }
  }

  /** The key again, with another payload. */
  async #abuse(key: string): Promise<void> {
    const { status } = await insist(() => this.#client.submit({ prompt: "Another" }, key));
    if (status !== 422 && status !== 410) {
      this.#journal.violated(key, `invariant 6: another payload was answered with ${status}`);
    }
  }

  /** Reads as the events come, leaves, and comes back by its cursor, to the end. */
  async #follow({ seen }: Entry, id: string): Promise<void> {
    while (!seen.some(({ type }) => isOver(type))) {
      let most = 1 + this.#below(15);
      try {
        for await (const event of this.#client.follow(id, seen.length)) {
          seen.push(event);
          if (--most === 0) break;
        }
      } catch (error) {
        if (!(error instanceof Lost)) throw error;
        if ((await this.#client.read(id)) === null) return;
      }
      await sleep(this.#below(500));
    }
  }

  async #cancel(entry: Entry, id: string): Promise<void> {
    await sleep(this.#below(4_000));
    const { status, body } = await insist(() => this.#client.post(`/api/jobs/${id}/cancel`, {}));
    if (status === 200) entry.cancelled = (body as JobView).status;
  }

  /** Twice, which must be the same as once. */
  async #repeat(entry: Entry, id: string): Promise<void> {
    const { prompt, tokens, maxAttempts } = entry;
    const ask = () => insist(() => this.#client.post(`/api/jobs/${id}/retry`, {}));
    const answers = [await ask(), await ask()].filter(({ status }) => status < 400);
    const ids = new Set(answers.map(({ body }) => (body as JobAccepted).job_id));
    if (ids.size > 1) this.#journal.violated(id, `was repeated as ${[...ids].join(" and ")}`);
    const [repeatedAs] = ids;
    if (repeatedAs === undefined) return;
    entry.repeatedAs = repeatedAs;
    this.#journal.open({ prompt, tokens, maxAttempts, key: null }).id = repeatedAs;
    await this.#ended(repeatedAs);
  }

  async #remove(entry: Entry, id: string): Promise<void> {
    const { status } = await insist(() =>
      this.#client.ask(`/api/jobs/${id}`, { method: "DELETE" }),
    );
    if (status === 204 || status === 410) entry.deletedAt = Date.now();
    else this.#journal.violated(id, `its deletion was answered with ${status}`);
  }

  async #ended(id: string): Promise<JobView | null> {
    for (;;) {
      const view = await this.#client.read(id);
      if (view === null || isOver(view.status)) return view;
      await sleep(1_000);
    }
  }

  #chance(share: number): boolean {
    return this.#random() < share;
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count);
  }
}
