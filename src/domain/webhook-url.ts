/** What the address of a webhook is judged by. */
export type WebhookUrlRules = {
  /** The origin this service is reached at, such as `https://api.example.com`. */
  ownOrigin: string;
  /** Other host names it is reached at. */
  ownHosts: readonly string[];
  /** Canonical origins such as `http://127.0.0.1:3000` that may be sent to in spite of the rules, for development. */
  allowedOrigins: readonly string[];
};

const MAX_LENGTH = 2_048;
const MAX_HOST_LENGTH = 253;
/** As the parser leaves them: the default of https is none. */
const PORTS: ReadonlySet<string> = new Set(["", "8443"]);

/** What parsers strip or turn into something else, so that no two of them read the same address. */
const DECEPTIVE = /[\p{Cc} \\]/u;

/** Two slashes and a host: parsers that are kind to other spellings are not kind in the same way. */
const AUTHORITY = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]+)/i;

const LABEL = /^[a-z0-9_-]{1,63}$/;

/** A host whose last label is a number is an IPv4 address, or nothing. Source: URL Standard, "ends in a number". */
const NUMBER = /^(\d+|0x[0-9a-f]*)$/;

/**
 * Last labels of names that are resolved inside a network or nowhere, never in public.
 * Source: IANA's special-use domain names, ICANN's name collisions, and the habits of containers and home routers.
 */
const PRIVATE_SUFFIXES: ReadonlySet<string> = new Set([
  "alt",
  "arpa",
  "consul",
  "corp",
  "docker",
  "domain",
  "home",
  "internal",
  "intra",
  "intranet",
  "invalid",
  "lan",
  "local",
  "localdomain",
  "localhost",
  "mail",
  "onion",
  "private",
  "svc",
  "test",
  "workgroup",
]);

/**
 * Why no webhook may be sent to an address, as the end of a sentence that begins with its field, or null.
 * It never repeats the address.
 *
 * The text is judged first, then only what the URL parser made of it, since that is what will be fetched: it has
 * turned every spelling of an IPv4 address into one, unescaped the host and lowered its case. A fragment is harmless:
 * it is not sent.
 *
 * A name that resolves to a private address passes. A Worker cannot pin what a name resolved to, so looking it up
 * would prove nothing about the fetch that follows; what keeps that harmless is that the egress of Workers reaches
 * public addresses only, and our own zone by its public front door (`global_fetch_strictly_public`). To be asked
 * again before every attempt: rules change, and a delivery may be days old.
 */
export function webhookUrlFault(raw: string, rules: WebhookUrlRules): string | null {
  const fault = textFault(raw);
  if (fault !== null) return fault;
  const url = URL.parse(raw);
  if (url === null) return "is not an absolute URL";
  if (!/^https?:$/.test(url.protocol)) return "is not https";
  const [, authority] = AUTHORITY.exec(raw) ?? [];
  if (authority === undefined) return "is not an absolute URL";
  if (authority.includes("@")) return "holds credentials";
  if (rules.allowedOrigins.includes(originOf(url))) return null;
  if (url.protocol !== "https:") return "is not https";
  if (!PORTS.has(url.port)) return "names a port other than 443 and 8443";
  return hostFault(url.hostname, rules);
}

function textFault(raw: string): string | null {
  if (raw.length > MAX_LENGTH) return `is longer than ${MAX_LENGTH} characters`;
  const deceptive = DECEPTIVE.test(raw) || !raw.isWellFormed();
  return deceptive ? "holds a space, a backslash or a control character" : null;
}

/** Not the `origin` of URL, which for a `blob:` is that of the URL inside. */
function originOf(url: URL): string {
  return `${url.protocol}//${url.host}`;
}

function hostFault(hostname: string, { ownOrigin, ownHosts }: WebhookUrlRules): string | null {
  const host = withoutRoot(hostname);
  const labels = host.split(".");
  const last = labels.at(-1) ?? "";
  if (host.startsWith("[") || NUMBER.test(last)) return "names an IP address";
  if (host.length > MAX_HOST_LENGTH || !labels.every((label) => LABEL.test(label))) {
    return "names no valid host";
  }
  if (labels.length === 1) return "names a host without a dot";
  if (PRIVATE_SUFFIXES.has(last)) return "names a host of a private network";
  const own = [URL.parse(ownOrigin)?.hostname ?? "", ...ownHosts];
  return own.some((name) => isOwn(host, withoutRoot(name))) ? "names a host of this service" : null;
}

/** The name as it is without the dot of the root, with which it is the same host. */
function withoutRoot(hostname: string): string {
  return hostname.replace(/\.$/, "");
}

function isOwn(host: string, own: string): boolean {
  if (host === own) return true;
  const [account, ...platform] = own.split(".").slice(-3);
  if (platform.join(".") !== "workers.dev") return false;
  // Every Worker of the account, and every version of ours that has an address to be tried at.
  const zone = `${account}.workers.dev`;
  return host === zone || host.endsWith(`.${zone}`);
}
