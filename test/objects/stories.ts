import { objectName } from "../../src/ids.ts";
import type { Told } from "./release.ts";
import { ring } from "./stage.ts";
import { passTime } from "./support.ts";
import { answered, deliver, provide, refused, request, submission } from "./worker-side.ts";

/** A Worker's side of one job: its HTTP face and its consumer, on whatever way to the job's object. */
class Storyteller {
  readonly #env: Env;
  readonly #key: string;
  readonly #name: string;

  private constructor(env: Env, key: string, name: string) {
    this.#env = env;
    this.#key = key;
    this.#name = name;
  }

  static async of(env: Env, key: string): Promise<Storyteller> {
    return new Storyteller(env, key, await objectName("dev", key));
  }

  submit(fields: object = {}): Promise<Told> {
    return this.#ask("", submission(this.#key, { prompt: "Why is the sky blue?", ...fields }));
  }

  read(query = ""): Promise<Told> {
    return this.#ask(`/${this.#key}${query}`);
  }

  cancel(): Promise<Told> {
    return this.#ask(`/${this.#key}/cancel`, { method: "POST" });
  }

  attempts(): Promise<Told> {
    return this.#ask(`/${this.#key}/attempts`);
  }

  /** Asks to try the job again, which one that has not failed refuses. */
  retry(): Promise<Told> {
    return this.#ask(`/${this.#key}/retry`, { method: "POST" });
  }

  async delete(): Promise<void> {
    await this.#fetch(`/${this.#key}`, { method: "DELETE" });
  }

  /** A message of the queue is delivered, and the provider answers like this. */
  async deliver(
    answer: () => Response | Promise<Response> = answered,
    queue = "jobs-normal",
  ): Promise<void> {
    provide(answer);
    await deliver(this.#env, queue, [{ job: this.#name }]);
  }

  /** The same, and the model's words are appended as they come. */
  async deliverInParts(): Promise<void> {
    provide(answered);
    const env = { ...this.#env, UNWATCHED_JOIN_MS: "0" };
    await deliver(env, "jobs-normal", [{ job: this.#name }]);
  }

  deadLetter(): Promise<void> {
    return this.deliver(answered, "jobs-dead-letter");
  }

  /** Time passes, and the alarm rings if that is its time. */
  async pass(seconds: number): Promise<void> {
    passTime(seconds * 1_000);
    await ring(this.#name);
  }

  /** The job's whole log, once it has ended. */
  async log(): Promise<string> {
    return (await this.#fetch(`/${this.#key}/events`)).text();
  }

  async #ask(path: string, init: RequestInit = {}): Promise<Told> {
    const response = await this.#fetch(path, init);
    return { status: response.status, body: await response.json() };
  }

  #fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return request(this.#env, `/api/jobs${path}`, init);
  }
}

/** Lives that take a job through every status and every call. */
export const STORIES: Record<string, (teller: Storyteller) => Promise<unknown>> = {
  completed: async (teller) => {
    await teller.submit();
    await teller.submit();
    await teller.submit({ user: "somebody else's" });
    await teller.deliver();
    await teller.deliver();
    await teller.retry();
    await teller.log();
  },
  parts: async (teller) => {
    await teller.submit();
    await teller.deliverInParts();
    await teller.log();
  },
  retried: async (teller) => {
    await teller.submit({ user: "u-1", metadata: { note: "a" }, fallback_models: ["gpt-4.1"] });
    await teller.deliver(refused(503));
    await teller.pass(30);
    await teller.deliver(refused(401));
    await teller.deliver();
    await teller.log();
  },
  failed: async (teller) => {
    await teller.submit({ max_attempts: 1 });
    await teller.deliver(refused(500));
    await teller.deadLetter();
    await teller.attempts();
    await teller.log();
  },
  undelivered: async (teller) => {
    await teller.submit();
    await teller.deadLetter();
    await teller.log();
  },
  cancelled: async (teller) => {
    await teller.submit();
    await teller.deliver(async () => {
      await teller.read("?include=partial_output");
      await teller.cancel();
      return answered();
    });
    await teller.log();
  },
  deleted: async (teller) => {
    await teller.submit();
    await teller.deliver(async () => {
      await teller.delete();
      return answered();
    });
  },
  delayed: async (teller) => {
    await teller.submit({ delay_seconds: 60 });
    await teller.deliver();
    await teller.pass(60);
    await teller.deliver();
    await teller.log();
  },
  expired: async (teller) => {
    await teller.submit({ ttl_seconds: 1 });
    await teller.pass(2);
    await teller.deadLetter();
    await teller.log();
  },
  purged: async (teller) => {
    await teller.submit({ retention_seconds: 1 });
    await teller.deliver();
    await teller.pass(2);
  },
};

/** Tells a story on this way to its object, under a key of its own, and what the owner was told at last. */
export async function tell(story: string, key: string, env: Env): Promise<Told> {
  const teller = await Storyteller.of(env, key);
  await STORIES[story]?.(teller);
  const { status, body } = await teller.read("?include=partial_output");
  // These are others each time.
  const { job_id: _, request_id: __, dlq_id: ___, ...told } = body;
  return { status, body: told };
}
