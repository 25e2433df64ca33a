/** What is wrong with the callback headers: with one of them, or (`name` null) with all together. */
export type CallbackHeaderFault = { name: string | null; detail: string };

const MAX_HEADERS = 20;
/** Of all names and values together, and of one value, in characters; those allowed are one byte each. */
const MAX_TOTAL = 8_192;
const MAX_VALUE = 4_096;

/** Source: RFC 9110 section 5.6.2 (token). */
const NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/;
const VALUE = /^[\x20-\x7e]*$/;

const REFUSED_NAMES: ReadonlySet<string> = new Set([
  // The connection's own, and how a message is framed and encoded.
  "connection",
  "keep-alive",
  "transfer-encoding",
  "te",
  "trailer",
  "upgrade",
  "http2-settings",
  "expect",
  "host",
  "accept-encoding",
  "max-forwards",
  // Who is asking, for whom and by what way.
  "user-agent",
  "origin",
  "referer",
  "cookie",
  "cookie2",
  "set-cookie",
  "set-cookie2",
  "date",
  "via",
  "forwarded",
  "cdn-loop",
  "true-client-ip",
  "x-real-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "fastly-client-ip",
  // With them the receiver would be asked something other than to take a POST at its URL.
  "x-http-method",
  "x-http-method-override",
  "x-method-override",
  "x-host",
  "x-rewrite-url",
  // Keys that are more than a key to a careless object.
  "__proto__",
  "constructor",
  "prototype",
]);

const REFUSED_PREFIXES = [
  "content-",
  "proxy-",
  "sec-",
  "cf-",
  "x-forwarded",
  "x-original-",
  // The signature and its like: ours is the only one.
  "webhook-",
  "svix-",
  "x-webhook-",
  // What the metadata services of clouds ask for, so that nobody can make us ask them.
  "metadata",
  "x-amz-",
  "x-aws-",
  "x-goog",
] as const;

/**
 * What is wrong with the headers a caller wants on its webhooks; empty if nothing. `authorization` is allowed:
 * receivers need it. A detail is the end of a sentence that begins with the header, and never holds a value.
 *
 * Too many or too much of them is said alone, so the answer is no longer than what was asked may be.
 * To be refused when they are submitted: dropped in silence, a header would be missed at the receiver only.
 */
export function callbackHeaderFaults(
  headers: Readonly<Record<string, string>>,
): CallbackHeaderFault[] {
  const entries = Object.entries(headers);
  if (entries.length > MAX_HEADERS) {
    return [{ name: null, detail: `are more than ${MAX_HEADERS}` }];
  }
  const total = entries.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  if (total > MAX_TOTAL) {
    return [{ name: null, detail: `are longer than ${MAX_TOTAL} characters together` }];
  }
  const seen = new Set<string>();
  return entries.flatMap(([name, value]) => {
    const details = [nameFault(name, seen), valueFault(value)];
    seen.add(name.toLowerCase());
    return details.flatMap((detail) => (detail === null ? [] : [{ name, detail }]));
  });
}

function nameFault(name: string, seen: ReadonlySet<string>): string | null {
  if (!NAME.test(name)) return "is not a header's name of at most 64 characters";
  const lower = name.toLowerCase();
  if (seen.has(lower)) return "is there already, in other letters";
  // Receivers behind CGI and its heirs cannot tell the two apart.
  const folded = lower.replaceAll("_", "-");
  const isRefused = [lower, folded].some(
    (one) => REFUSED_NAMES.has(one) || REFUSED_PREFIXES.some((prefix) => one.startsWith(prefix)),
  );
  return isRefused ? "is not the caller's to set" : null;
}

/** Shorter than this it is no secret, and would be found everywhere. */
const LEAST_SECRET = 4;

/**
 * A receiver's answer without the values of the headers it was sent: one that writes out what it got must not make them
 * readable. A value counts as it is, without its scheme (`Bearer `), and as JSON writes it; also its beginning, where
 * the answer was cut off within it.
 */
export function withoutHeaderValues(
  answer: string,
  headers: Readonly<Record<string, string>>,
): string {
  const values = Object.values(headers).flatMap((value) => [
    value,
    value.slice(value.indexOf(" ") + 1),
    JSON.stringify(value).slice(1, -1),
  ]);
  const secrets = values.filter(({ length }) => length >= LEAST_SECRET);
  const longestFirst = secrets.toSorted((one, other) => other.length - one.length);
  const told = longestFirst.reduce((text, secret) => text.replaceAll(secret, WITHHELD), answer);
  const cut = Math.max(0, ...secrets.map((secret) => beginningAtEnd(secret, told)));
  return cut === 0 ? told : told.slice(0, -cut) + WITHHELD;
}

/** No longer than what it stands for, in bytes. */
const WITHHELD = "…";

/** How much of the beginning of a secret is the end of a text; 0 if too little to tell. */
function beginningAtEnd(secret: string, text: string): number {
  for (let length = secret.length - 1; length >= LEAST_SECRET; length--) {
    if (text.endsWith(secret.slice(0, length))) return length;
  }
  return 0;
}

function valueFault(value: string): string | null {
  if (value.length > MAX_VALUE) return `has a value of more than ${MAX_VALUE} characters`;
  return VALUE.test(value) ? null : "has a value with other than printable ASCII characters";
}
