import { ConfigError } from "../settings/config.ts";
import {
  advance,
  batchOf,
  SIDE_BY_SIDE,
  STEP_MS,
  type Action,
  type Operation,
  type Outcome,
  type Selection,
} from "../domain/operation.ts";
import { randomToken } from "../ids.ts";
import { logFault, logOperation } from "../log.ts";
import type { DeadLetterStore } from "../storage/dead-letter-store.ts";
import type { OperationStore } from "../storage/operation-store.ts";
import type { Retried } from "./dead-letter-rpc.ts";

type OperationPorts = {
  letters: DeadLetterStore;
  store: OperationStore;
  /** Submits a letter's job, and leaves the letter as it is. */
  resubmit: (dlqId: string) => Promise<Retried>;
  /** Letters were closed. */
  onClosed: () => void;
};

/**
 * Work on many letters, done in steps of a second and stored batch by batch, so it survives restarts. Several
 * operations run side by side, each at its own rate; a letter that two of them select goes to whichever comes first.
 */
export class Operations {
  readonly #ports: OperationPorts;

  constructor(ports: OperationPorts) {
    this.#ports = ports;
  }

  start(action: Action, selection: Selection, ratePerSecond: number): Operation {
    const { letters, store } = this.#ports;
    const now = Date.now();
    const operation: Operation = {
      operationId: `op_${randomToken(16)}`,
      action,
      selection,
      lastLetter: letters.lastLetter(),
      cursor: 0,
      matched: letters.count(selection),
      done: 0,
      refused: 0,
      ratePerSecond,
      startedAt: now,
      endedAt: null,
      nextStepAt: now,
      stumbles: 0,
      errors: [],
    };
    store.create(operation);
    logOperation("dead_letters.operation_started", operation);
    return operation;
  }

  /** Takes the step of each operation that is due. One that fails does not hold up the others; it is thrown at the end. */
  async carryOn(): Promise<void> {
    const faults: unknown[] = [];
    for (const operation of this.#ports.store.due(Date.now())) {
      await this.#step(operation).catch((fault: unknown) => faults.push(fault));
    }
    if (faults.length > 0) throw faults[0];
  }

  async #step(operation: Operation): Promise<void> {
    const { letters, store } = this.#ports;
    let current = { ...operation, nextStepAt: Date.now() + STEP_MS };
    let allowance = current.ratePerSecond;
    while (allowance > 0) {
      // It is stored as one: after a crash at most these are submitted twice, in vain.
      const batch = batchOf(letters.next(current, Math.min(allowance, SIDE_BY_SIDE)));
      if (batch.length === 0) break;
      allowance -= batch.length;
      const outcomes = await Promise.all(
        batch.map(({ id, dlqId }) => this.#deal(current.action, { id, dlqId })),
      );
      current = this.#commit(current, outcomes);
      if (current.stumbles > 0) return;
    }
    if (letters.next(current, 1).length > 0) return;
    const ended = { ...current, endedAt: Date.now() };
    store.save(ended);
    logOperation("dead_letters.operation_ended", ended);
  }

  async #deal(action: Action, letter: { id: number; dlqId: string }): Promise<Outcome> {
    if (action === "discard") return { ...letter, type: "done", newJobId: null };
    try {
      const retried = await this.#ports.resubmit(letter.dlqId);
      switch (retried.type) {
        case "resubmitted":
          return { ...letter, type: "done", newJobId: retried.newJobId };
        case "refused":
          return { ...letter, type: "refused", detail: retried.refusals[0]?.detail ?? "" };
        case "unknown":
          return { ...letter, type: "overtaken" };
      }
    } catch (error) {
      // That is for the next deploy to mend; until then the operation waits.
      if (error instanceof ConfigError) throw error;
      logFault("dead_letter.unreachable", { dlq_id: letter.dlqId }, error);
      return { ...letter, type: "unreachable" };
    }
  }

  /** The letters that are done and the count of them change together. */
  #commit(operation: Operation, outcomes: Outcome[]): Operation {
    const { letters, store, onClosed } = this.#ports;
    const now = Date.now();
    const next = letters.atomically(() => {
      const settled = outcomes.map((outcome) => this.#settle(outcome, now));
      const advanced = advance(operation, settled, now);
      store.save(advanced);
      return advanced;
    });
    onClosed();
    return next;
  }

  /** Closes a letter that is done. One that was closed while its job was being submitted is another's work. */
  #settle(outcome: Outcome, now: number): Outcome {
    const { letters } = this.#ports;
    const { id, dlqId } = outcome;
    const ours =
      outcome.type === "done"
        ? letters.close(dlqId, outcome.newJobId, now)
        : letters.handled(dlqId) === null;
    return ours ? outcome : { id, dlqId, type: "overtaken" };
  }
}
