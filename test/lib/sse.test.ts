import { createParser } from "eventsource-parser";
import fc from "fast-check";
import { expect, it } from "vitest";

import { SseParser, type SseItem } from "../../lib/sse.ts";

/** What our parser makes of these pieces. */
function read(pieces: Uint8Array[]): SseItem[] {
  const parser = new SseParser();
  return pieces.flatMap((piece) => Array.from(parser.push(piece)));
}

/** What the parser makes of it that most clients use. */
function readByOthers(stream: string): SseItem[] {
  const items: SseItem[] = [];
  const parser = createParser({
    onEvent: ({ event = "", data }) => items.push({ type: "message", event, data }),
    onRetry: (ms) => items.push({ type: "retry", ms }),
  });
  parser.feed(stream);
  return items;
}

/** The same bytes, torn at these places. */
function torn(bytes: Uint8Array, places: number[]): Uint8Array[] {
  const cuts = [0, ...places.map((at) => at % (bytes.length + 1)), bytes.length];
  const sorted = cuts.toSorted((a, b) => a - b);
  return sorted.slice(1).map((end, at) => bytes.subarray(sorted[at], end));
}

const word = fc.constantFrom("data", "event", "id", "retry", ":", ": ", " ", "x", "7", "é", "漢😀");
const end = fc.constantFrom("\n", "\r", "\r\n", "\n\n", "\r\r", "\r\n\r\n");
const streams = fc.array(fc.oneof(word, end), { maxLength: 60 }).map((parts) => parts.join(""));

it("reads whatever stream as eventsource-parser does, torn at whatever bytes", () => {
  fc.assert(
    fc.property(streams, fc.array(fc.nat(), { maxLength: 8 }), (stream, places) => {
      // Both end a line at a final CR at the latest when something follows.
      const whole = `${stream}\n\n: end\n`;
      const bytes = new TextEncoder().encode(whole);
      expect(read(torn(bytes, places))).toEqual(readByOthers(whole));
    }),
    { numRuns: 2_000 },
  );
});

it("reads a stream that comes byte by byte", () => {
  const bytes = new TextEncoder().encode("\uFEFFretry: 5\r\ndata: 漢😀\r\n\r\ndata:a\rdata\r\r");
  expect(read(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual([
    { type: "retry", ms: 5 },
    { type: "message", event: "", data: "漢😀" },
    { type: "message", event: "", data: "a\n" },
  ]);
});

it("hands out no message that was cut off before its empty line", () => {
  expect(read([new TextEncoder().encode('data: {"seq":1}\n')])).toEqual([]);
});
