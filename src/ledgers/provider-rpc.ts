import type { Learned } from "../domain/learned.ts";
import type { Asker } from "../domain/permit-blocks.ts";
import type { Verdict, Wish } from "../domain/permit-desk.ts";
import type { LimitSetting } from "../domain/provider-limits.ts";
import type { ProviderState } from "../domain/provider-view.ts";

/** How a call went, as far as it concerns others. `tokens`: so many fewer were used than foreseen; negative: more. */
export type CallTold = {
  model: string;
  tokens: number;
  /** The provider refused it because of its limits (429). */
  limited: boolean;
  learned: Learned | null;
};

/** What an operator orders; what is left out stays as it is. */
export type ProviderOrder = Partial<LimitSetting> & { paused?: boolean };

/** One provider, for all who call it. Each call may be repeated without harm. */
export interface ProviderRpc {
  /** May this job call? If not, it is parked, and rung for when it may. */
  ask(wish: Wish, asker: Asker): Promise<Verdict>;
  /** A permit for one call that was not made. */
  giveBack(id: string): Promise<void>;
  settle(told: CallTold): Promise<void>;
  order(order: ProviderOrder): Promise<ProviderState>;
  state(): Promise<ProviderState>;
}
