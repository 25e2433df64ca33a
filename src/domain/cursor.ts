/** A place in a list that is ordered by instants, and by ids where those are the same. */
type Place = { instant: number; id: string };

/**
 * A place as clients carry it about: text that nobody is tempted to read. It holds nothing but what the page shows.
 * `id` is of letters, digits, `-` and `_`, so base64 writes no sign that a URL has to escape, but for the padding.
 */
export function cursorOf(instant: number, id: string | number): string {
  return btoa(`${instant}.${id}`).replaceAll("=", "");
}

/** Null: no cursor of ours. What the id may be is for the caller to check. */
export function placeAt(cursor: string): Place | null {
  if (!/^[A-Za-z0-9]+$/.test(cursor) || cursor.length % 4 === 1) return null;
  const [, instant, id] = /^(\d{1,15})\.(.+)$/.exec(atob(cursor)) ?? [];
  return instant === undefined || id === undefined ? null : { instant: Number(instant), id };
}
