import type { Entry } from "../domain/gate.ts";

/** The way to one origin, for all deliveries to it. Each call may be repeated without harm. */
export interface GateRpc {
  /** Asks for one of the passes that there are at once; a delivery without does not set out. `pass`: an id of this attempt's. */
  enter(pass: string): Promise<Entry>;
  /** Gives the pass back. `latencyMs`: null where nothing was sent. Where this is lost, it expires by itself. */
  leave(pass: string, latencyMs: number | null): Promise<void>;
}
