import { env } from "cloudflare:workers";
import { beforeAll, beforeEach } from "vitest";

const BINDINGS = [
  "LANE_HIGH",
  "LANE_NORMAL",
  "LANE_LOW",
  "LANE_LONG",
  "DEAD_LETTERS",
  "WEBHOOKS",
  "WEBHOOK_DEAD_LETTERS",
] as const;
type Binding = (typeof BINDINGS)[number];
type Meter = () => Promise<QueueMetrics>;

const empty: Meter = () => Promise.resolve({ backlogCount: 0, backlogBytes: 0 });
const real = {} as Record<Binding, Meter>;

/** What the queues say of their backlogs, and the ledger of dead letters of its depth. Each test begins with nothing waiting. */
export const meters = {
  queue: {} as Record<Binding, Meter>,
  depth: (): Promise<number> => Promise.resolve(0),
  /** Lets the queues speak for themselves. */
  release(): void {
    this.queue = { ...real };
  },
};

export function holdMeters(): void {
  beforeAll(() => {
    for (const binding of BINDINGS) {
      const queue = env[binding];
      real[binding] = queue.metrics.bind(queue);
      // All requests share these very binding objects.
      Object.defineProperty(queue, "metrics", { value: () => meters.queue[binding]() });
    }
    const ledger = { depth: () => meters.depth() };
    Object.defineProperty(env.LETTERS, "getByName", { value: () => ledger });
  });
  beforeEach(() => {
    for (const binding of BINDINGS) meters.queue[binding] = empty;
    meters.depth = () => Promise.resolve(0);
  });
}
