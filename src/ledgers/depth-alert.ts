import type { Config } from "../settings/config.ts";
import { alertChange } from "../domain/alert.ts";
import type { LetterGroup } from "../domain/dead-letter.ts";
import { nextAttemptMs } from "../domain/delivery.ts";
import { iso } from "../domain/instant.ts";
import { randomToken } from "../ids.ts";
import { logAlert, logFault } from "../log.ts";
import type { Alert, AlertStore } from "../storage/alert-store.ts";
import { attemptDelivery } from "../webhook.ts";

/** What one attempt may take. */
const LIMIT_MS = 10_000;

/** An attempt that has not said by then how it went has died: five seconds more than it may take. */
const CLAIM_MS = LIMIT_MS + 5_000;

/** Groups the alert names, the largest. */
const TOLD_GROUPS = 5;

type AlertPorts = {
  store: AlertStore;
  config: () => Config;
  groups: () => LetterGroup[];
  /** Something is due at another time than before. */
  onChanged: () => void;
};

/** Tells the operator's webhook when the dead letters pile up: once for each time they rise above the threshold. */
export class DepthAlert {
  readonly #ports: AlertPorts;

  constructor(ports: AlertPorts) {
    this.#ports = ports;
  }

  /** To be called after every change of depth. Throws ConfigError. */
  watch(depth: number): void {
    const { store, config, groups } = this.#ports;
    const { DLQ_ALERT_THRESHOLD: threshold, OPERATOR_WEBHOOK_URL } = config();
    const now = Date.now();
    switch (alertChange(depth, threshold, store.raised())) {
      case "raise": {
        // Where nobody is to be told there is nothing to remember either.
        if (OPERATOR_WEBHOOK_URL === undefined) return;
        const body = bodyOf(depth, threshold, groups(), now);
        return store.raise(`msg_${randomToken(16)}`, body, now);
      }
      case "lower":
        return store.lower(now);
      case null:
    }
  }

  /**
   * Makes the attempts that are due, and does not wait for them: a receiver that hangs holds up nobody. Each is put
   * off for as long as it may take before it is made, so one that dies with its object is made again. Throws ConfigError.
   */
  deliver(): Promise<void>[] {
    const { store, config } = this.#ports;
    const now = Date.now();
    const due = store.due(now);
    if (due.length === 0) return [];
    const settings = config();
    return due.map((alert) => {
      const attempt = { ...alert, attempts: alert.attempts + 1 };
      store.save(attempt, now + CLAIM_MS);
      return this.#attempt(attempt, settings);
    });
  }

  async #attempt(alert: Alert, config: Config): Promise<void> {
    const { store, onChanged } = this.#ports;
    const { OPERATOR_WEBHOOK_URL: url, OPERATOR_WEBHOOK_SECRET: secret } = config;
    try {
      // The receiver was taken out of the settings: nobody is owed it any more.
      if (url === undefined || secret === undefined) return store.save(alert, null);
      const { webhookId: id, body, attempts } = alert;
      const delivery = { id, url, body, headers: {}, secrets: [secret] } as const;
      const ports = { fetch, now: Date.now, limitMs: LIMIT_MS };
      const outcome = await attemptDelivery(delivery, ports);
      const waitMs = nextAttemptMs(attempts, outcome, Math.random());
      store.save(alert, waitMs === null ? null : Date.now() + waitMs);
      logAlert(id, attempts, outcome);
    } catch (error) {
      logFault("alert.failed", { webhook_id: alert.webhookId }, error);
    } finally {
      onChanged();
    }
  }
}

function bodyOf(depth: number, threshold: number, groups: LetterGroup[], now: number): string {
  const type = "dead_letter.threshold";
  const told = groups.slice(0, TOLD_GROUPS).map((group) => {
    const { fingerprint, errorCode, error, provider, count } = group;
    return { fingerprint, error_code: errorCode, error, provider, count };
  });
  const data = { depth, threshold, groups: told, list_url: "/api/admin/dead-letter" };
  return JSON.stringify({ type, timestamp: iso(now), data, event: type });
}
