import type { AlarmClock } from "../alarm-clock.ts";
import type { Announcer } from "./announcer.ts";
import type { Job } from "../domain/job.ts";
import type { JobStore } from "../storage/job-store.ts";
import { TELL_AGAIN_MS } from "./telling.ts";

/** How a job goes: first its content, and its name once the ledgers know. */
export class Departure {
  readonly #store: JobStore;
  readonly #announcer: Announcer;
  readonly #alarm: AlarmClock;
  /** Forgotten but for the ledgers, which must hear of it first. */
  #leaving: Job | null = null;

  constructor(store: JobStore, announcer: Announcer, alarm: AlarmClock) {
    this.#store = store;
    this.#announcer = announcer;
    this.#alarm = alarm;
  }

  get leaving(): Job | null {
    return this.#leaving;
  }

  /** All is deleted but the name, the alarm with it. */
  purge(job: Job, wakeAt: number): Promise<void> {
    const purged = this.#store.purge(job);
    this.#alarm.stopped();
    this.#alarm.set(wakeAt);
    return purged;
  }

  /** Nothing is left of a job once the ledgers know; until then, its name. */
  async leave(job: Job): Promise<void> {
    this.#leaving = job;
    await this.#announcer.tell(job, Date.now());
    // Its id may have been submitted anew meanwhile.
    if (this.#leaving !== job) return;
    if (this.#announcer.hasTold(job)) return this.forget();
    return this.purge(job, Date.now() + TELL_AGAIN_MS);
  }

  forget(): Promise<void> {
    this.#leaving = null;
    this.#alarm.stopped();
    return this.#store.forget();
  }
}
