import { setTimeout as sleep } from "node:timers/promises";

import { seeded } from "../test/support/random.ts";
import type { Client } from "./client.ts";
import type { Journal } from "./journal.ts";
import { Visitor, type Features } from "./visitor.ts";

/** Most clients at once, so that a slow machine is not drowned. */
const MOST_CLIENTS = 80;

/** Clients that come and go, each with a job. */
export class Load {
  readonly #client: Client;
  readonly #journal: Journal;
  readonly #features: Features;
  readonly #seed: number;
  readonly #visits = new Set<Promise<void>>();

  constructor(client: Client, journal: Journal, features: Features, seed: number) {
    this.#client = client;
    this.#journal = journal;
    this.#features = features;
    this.#seed = seed;
  }

  /** Sends clients at this rate until the time is over. */
  async run(until: number, perSecond: number): Promise<void> {
    const random = seeded(this.#seed);
    while (Date.now() < until) {
      if (this.#visits.size < MOST_CLIENTS) this.#send(seeded(random() * 2 ** 32));
      await sleep((random() * 2_000) / perSecond);
    }
  }

  /** Resolves once the last client has gone. */
  async settled(): Promise<void> {
    await Promise.all(this.#visits);
  }

  #send(random: () => number): void {
    const visitor = new Visitor(this.#client, this.#journal, this.#features, random);
    const visit = visitor.visit().catch((error: unknown) => {
      this.#journal.violated(null, `a client was told what no client should be: ${String(error)}`);
    });
    this.#visits.add(visit);
    void visit.finally(() => this.#visits.delete(visit));
  }
}
