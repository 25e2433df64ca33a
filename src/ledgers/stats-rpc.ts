import type { ActiveByLane } from "../domain/active.ts";
import type { Ever } from "../domain/ever.ts";
import type { StatsFact, Tallied } from "../domain/stats.ts";
import type { Window } from "../domain/window.ts";

/** What one shard has counted in a window, and the jobs that run now. */
export type Counted = { tallied: Tallied; active: ActiveByLane };

/** What one shard has counted since it began, which never gets less, and the jobs that run now. */
export type Total = { ever: Ever; active: ActiveByLane };

/** One shard of the statistics. A fact told twice is counted twice, one that is lost is not counted. */
export interface StatsRpc {
  note(fact: StatsFact): Promise<void>;
  count(window: Window): Promise<Counted>;
  total(): Promise<Total>;
}
