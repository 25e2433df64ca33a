import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { webhookUrlFault } from "../../src/domain/webhook-url.ts";
import { anyText, ipv4Spelling, publicName } from "./webhook-url-spellings.ts";
import { FAULTS, IP, RULES, URL_TABLE } from "./webhook-url-table.ts";

/** What holds of addresses wherever they are judged: each runtime has a URL parser of its own. */
export function describeWebhookUrls(runtime: string): void {
  describe(`the address of a webhook, judged in ${runtime}`, () => {
    it.each(URL_TABLE.map(([raw, ...row]) => [JSON.stringify(raw).slice(0, 80), raw, ...row]))(
      "%s",
      (_, raw, fault, rules = RULES) => {
        expect(webhookUrlFault(raw, rules)).toBe(fault);
      },
    );

    it("is refused for each reason there is", () => {
      const told = new Set(URL_TABLE.map(([, fault]) => fault).filter((fault) => fault !== null));
      expect([...told].toSorted()).toEqual(FAULTS.toSorted());
    });

    it("is never an IPv4 address, however that is spelt", () => {
      fc.assert(
        fc.property(ipv4Spelling, (host) => {
          expect(webhookUrlFault(`https://${host}/hook`, RULES)).toBe(IP);
        }),
        { numRuns: 1_000 },
      );
    });

    it("is never an IPv6 address", () => {
      fc.assert(
        fc.property(fc.ipV6(), (host) => {
          expect(webhookUrlFault(`https://[${host}]:8443/`, RULES)).toBe(IP);
        }),
      );
    });

    it("may be any name under a public suffix", () => {
      fc.assert(
        fc.property(publicName, fc.constantFrom("", ":443", ":8443/x?y"), (name, rest) => {
          expect(webhookUrlFault(`https://${name}${rest}`, RULES)).toBeNull();
        }),
      );
    });

    it("may be any text at all without harm, and no part of it is repeated", () => {
      const told: readonly (string | null)[] = [...FAULTS, null];
      fc.assert(
        fc.property(anyText, anyText, (raw, ownOrigin) => {
          expect(told).toContain(webhookUrlFault(raw, { ...RULES, ownOrigin }));
        }),
      );
    });
  });
}
