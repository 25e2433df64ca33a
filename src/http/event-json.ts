import type { LogRun } from "../followed.ts";
import type { Frame } from "../job/job-rpc.ts";

/** Reads the log after a cursor. */
export type ReadPage = (cursor: number) => Promise<LogRun>;

/** How the JSON of an event begins that is nothing but text. */
const DELTA_START = '{"type":"delta"';

/**
 * The JSON of one event. Where its object has left its text out, that is read from the log and put in again, page
 * by page: nobody has to hold it whole.
 */
export async function* jsonOf(
  { seq, json, text }: Frame,
  pageAfter: ReadPage,
): AsyncGenerator<string> {
  if (text === undefined) return yield json;
  yield json.slice(0, text.at);
  for (let cursor = text.after; cursor < seq - 1;) {
    const { events } = await pageAfter(cursor);
    const last = events.at(-1);
    if (last === undefined) throw new Error("the log has lost its text");
    yield events.map(deltaOf).join("");
    cursor = last.seq;
  }
  yield json.slice(text.at);
}

/** What an event adds to the text, as it is written within JSON. No delta ends in half a character. */
function deltaOf({ json }: Frame): string {
  if (!json.startsWith(DELTA_START)) return "";
  const { delta } = JSON.parse(json) as { delta: string };
  return JSON.stringify(delta).slice(1, -1);
}

/** A page of a log as JSON, piece by piece: where it stands, which is not nothing, whether there is more, its events. */
export async function* pageJson(
  stand: object,
  { more: has_more, events }: LogRun,
  pageAfter: ReadPage,
): AsyncGenerator<string> {
  // The events come last, and in their place.
  yield JSON.stringify({ ...stand, has_more, events: [] }).slice(0, -"]}".length);
  for (const [at, frame] of events.entries()) {
    if (at > 0) yield ",";
    yield* jsonOf(frame, pageAfter);
  }
  yield "]}";
}

/** The same text in as few pieces as may be, of `chars` or a little more but for the last. */
export async function* joined(
  pieces: AsyncIterable<string>,
  chars: number,
): AsyncGenerator<string> {
  let text = "";
  for await (const piece of pieces) {
    text += piece;
    if (text.length < chars) continue;
    yield text;
    text = "";
  }
  if (text !== "") yield text;
}
