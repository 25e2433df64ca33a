import type { Learned } from "../domain/learned.ts";
import type { Line } from "../domain/lane.ts";
import type { Outlook, Place } from "../domain/outlook.ts";
import type { Asker } from "../domain/permit-blocks.ts";
import type { News, Spared, Verdict, Wish, WishKey } from "../domain/permit.ts";
import type { LimitSetting } from "../domain/provider-limits.ts";
import type { ProviderState } from "../domain/provider-view.ts";

/** How a call went, as far as it concerns others. */
export type Call = {
  model: string;
  /** The provider refused it because of its limits (429). */
  limited: boolean;
  learned: Learned | null;
};

/** Of calls, and what became of permits: a consumer of an older version says of those no more than the tokens. */
export type CallTold = Call & Pick<News, "tokens"> & Partial<News>;

/** What comes with a wish, from whatever version. */
export type AskerTold = Pick<Asker, "most" | "spent" | "tokens"> & Partial<Asker>;

/** What an operator orders; what is left out stays as it is. */
export type ProviderOrder = Partial<LimitSetting> & { paused?: boolean };

/** One provider, for all who call it. Each call may be repeated without harm. */
export interface ProviderRpc {
  /** May this job call? If not, it is parked, and rung for when it may. */
  ask(wish: Wish, asker: AskerTold): Promise<Verdict>;
  /** These jobs of a line are parked, which are not asked for one by one while the object is to be spared; and what became of permits. */
  park(line: Line, wishes: Wish[], news: News): Promise<Spared>;
  /** The job of this wish has ended without a call. */
  withdraw(wish: WishKey): Promise<void>;
  /** A permit for one call that was not made; null: there are only news. */
  giveBack(id: string | null, news?: News): Promise<void>;
  settle(told: CallTold): Promise<void>;
  order(order: ProviderOrder): Promise<ProviderState>;
  state(): Promise<ProviderState>;
  /** How things look for a tenant's jobs in a lane. Changes nothing. */
  outlook(place: Omit<Place, "provider">): Promise<Outlook>;
}
