import type { WebhookUrlRules } from "../../src/domain/webhook-url.ts";

export const RULES: WebhookUrlRules = {
  ownOrigin: "https://api.afterword.com",
  ownHosts: ["jobs.afterword.net", "status.afterword.net."],
  allowedOrigins: ["http://127.0.0.1:3000", "http://receiver:8080", "https://10.0.0.1"],
};

const ON_WORKERS_DEV = { ...RULES, ownOrigin: "https://afterword.acme.workers.dev" };

/** An address, what is wrong with it (null: nothing), and the rules where they are not RULES. */
export type UrlRow = readonly [raw: string, fault: string | null, rules?: WebhookUrlRules];

export const LONG = "is longer than 2048 characters";
export const DECEPTIVE = "holds a space, a backslash or a control character";
export const NO_URL = "is not an absolute URL";
export const CREDENTIALS = "holds credentials";
export const NOT_HTTPS = "is not https";
export const PORT = "names a port other than 443 and 8443";
export const IP = "names an IP address";
export const NO_HOST = "names no valid host";
export const NO_DOT = "names a host without a dot";
export const PRIVATE = "names a host of a private network";
export const OWN = "names a host of this service";

/** Every fault there is: whatever is said is one of these, so no part of an address ever is. */
export const FAULTS = [
  LONG,
  DECEPTIVE,
  NO_URL,
  CREDENTIALS,
  NOT_HTTPS,
  PORT,
  IP,
  NO_HOST,
  NO_DOT,
  PRIVATE,
  OWN,
] as const;

const fail = (fault: string, ...raws: string[]): UrlRow[] => raws.map((raw) => [raw, fault]);
const pass = (...raws: string[]): UrlRow[] => raws.map((raw) => [raw, null]);
const under = (rules: WebhookUrlRules, fault: string | null, ...raws: string[]): UrlRow[] =>
  raws.map((raw) => [raw, fault, rules]);

const longest = `https://example.com/${"x".repeat(2_048 - "https://example.com/".length)}`;
const label = "a".repeat(63);

const TEXT: UrlRow[] = [
  ...pass(longest),
  ...fail(LONG, `${longest}x`, "x".repeat(2_049), `https://example.com/?${"ä".repeat(2_048)}`),
  ...fail(DECEPTIVE, " https://example.com", "https://example.com ", "https://exam ple.com"),
  ...fail(DECEPTIVE, "https://example.com/a b", "https://exa\tmple.com", "https://exa\nmple.com"),
  ...fail(DECEPTIVE, "https://example.com/\r\nHost:x", "https://example.com/\0", "\u007f"),
  ...fail(DECEPTIVE, "https://example.com/\u0085", "https://example.com/\ud800"),
  ...fail(DECEPTIVE, "https:\\\\example.com", "https://example.com\\@127.0.0.1", "\\\\host\\x"),
  // Not sent, whatever it says.
  ...pass("https://example.com/#top", "https://example.com#", "https://a.com/#@127.0.0.1"),
  ...fail(IP, "https://127.0.0.1#.example.com", "https://127.0.0.1/#@example.com"),
  ...pass("https://example.com/%23", "https://example.com/%20%5C%00", "https://example.com/größe"),
];

const SHAPE: UrlRow[] = [
  ...fail(NO_URL, "", "example.com", "/hook", "//example.com/hook", "?", "https://", "https:///"),
  ...fail(
    NO_URL,
    "https://example.com:99999",
    "https://example.com:https",
    "https://exam%00ple.com",
  ),
  ...fail(NO_URL, "https://[::1", "https://[::1%25eth0]/", "https://[fe80::1%eth0]/", "://x.com"),
  ...fail(CREDENTIALS, "https://user:secret@example.com", "https://user@example.com"),
  ...fail(CREDENTIALS, "https://:secret@example.com", "https://example.com@evil.com"),
  ...fail(CREDENTIALS, "https://example.com:443@127.0.0.1/", "https://%40@example.com"),
  ...fail(NOT_HTTPS, "http://example.com", "ftp://example.com", "ws://example.com", "file:///etc"),
  ...fail(NOT_HTTPS, "javascript:alert(1)", "data:text/plain,x", "blob:https://example.com/1"),
  ...fail(NOT_HTTPS, "HTTP://EXAMPLE.COM:443", "wss://example.com", "mailto:a@example.com"),
  ...fail(PORT, "https://example.com:80", "https://example.com:22", "https://example.com:444"),
  ...fail(PORT, "https://example.com:0", "https://example.com:8080", "https://example.com:65535"),
  ...pass("https://example.com:443", "https://example.com:8443", "https://example.com:0443/"),
  ...pass("https://example.com:", "HTTPS://EXAMPLE.COM/Hook"),
  ...fail(NO_URL, "https:example.com", "https:/a.com", "https:///example.com"),
  // Nobody's name and no password: the parser leaves nothing of it.
  ...fail(CREDENTIALS, "https://@example.com", "https://:@example.com"),
  ...pass("https://example.com/@me?a=b@c"),
];

const ADDRESSES: UrlRow[] = [
  ...fail(
    IP,
    "https://127.0.0.1",
    "https://127.0.0.1.",
    "https://10.0.0.1:8443",
    "https://8.8.8.8",
  ),
  ...fail(
    IP,
    "https://169.254.169.254/latest/meta-data",
    "https://0.0.0.0",
    "https://255.255.255.255",
  ),
  // Decimal, hexadecimal, octal, shorter, and mixtures of them.
  ...fail(IP, "https://2130706433", "https://0x7f000001", "https://017700000001", "https://0"),
  ...fail(IP, "https://0X7F.1", "https://127.1", "https://127.0.1", "https://0x7f.0.0.0x1"),
  ...fail(IP, "https://0177.0.0.1", "https://010.0.0.1", "https://0x", "https://0000127.0.0.1"),
  // Full-width and circled digits, dots that are not full stops, escapes.
  ...fail(IP, "https://１２７.０.０.１", "https://①②⑦.0.0.①", "https://127。0。0。1"),
  ...fail(IP, "https://127．0．0．1", "https://127｡0｡0｡1", "https://２１３０７０６４３３"),
  ...fail(IP, "https://%31%32%37.0.0.1", "https://127%2e0%2e0%2e1", "https://１２７。１"),
  ...fail(
    IP,
    "https://[::1]",
    "https://[::]",
    "https://[::ffff:127.0.0.1]",
    "https://[::127.0.0.1]",
  ),
  ...fail(IP, "https://[::ffff:7f00:1]:8443", "https://[fd00::1]", "https://[fe80::1]"),
  ...fail(IP, "https://[64:ff9b::7f00:1]", "https://[2001:db8::1]", "https://[2606:4700::1111]"),
  ...fail(IP, "https://[0:0:0:0:0:0:0:1]", "https://[2002:7f00:1::]", "https://[FE80::A]"),
  // No address of either kind, and no name either.
  ...fail(NO_URL, "https://256.0.0.1", "https://1.2.3.4.5", "https://4294967296", "https://a.1"),
  ...fail(NO_URL, "https://example.com.0x7f", "https://127.0.0.1.2.", "https://08.0.0.1"),
  ...pass("https://10.example.com", "https://127.0.0.1.example.com", "https://0x7f.example.com"),
  ...pass("https://1.com", "https://1-2-3-4.example.com", "https://2130706433.com", "https://a.x1"),
  // What a name resolves to cannot be known here.
  ...pass("https://127.0.0.1.nip.io/hook", "https://localtest.me"),
];

const NAMES: UrlRow[] = [
  ...fail(NO_DOT, "https://localhost", "https://LOCALHOST.", "https://intranet", "https://com"),
  ...fail(NO_DOT, "https://localhost。", "https://%6c%6fcalhost", "https://metadata:8443"),
  ...fail(NO_HOST, "https://a..com", "https://.example.com", "https://example.com..", "https://.."),
  ...fail(NO_HOST, "https://*.example.com", "https://a!b.com", `https://${label}a.com`),
  ...fail(NO_HOST, `https://${`${label}.`.repeat(4)}com`, "https://$(id).example.com"),
  ...pass("https://example.com", "https://example.com.", "https://a.b.c.d.e.example.co.uk/x?y=z"),
  ...pass(
    "https://xn--mnchen-3ya.de",
    "https://münchen.de",
    "https://MÜNCHEN.de",
    "https://例え.jp",
  ),
  ...pass("https://my_host.example.com", `https://${label}.com`, "https://ex%61mple.com"),
  ...fail(PRIVATE, "https://printer.local", "https://PRINTER.LOCAL.", "https://a.b.internal"),
  ...fail(PRIVATE, "https://metadata.google.internal", "https://app.localhost", "https://nas.lan"),
  ...fail(
    PRIVATE,
    "https://router.home",
    "https://mail.corp",
    "https://a.test",
    "https://a.invalid",
  ),
  ...fail(
    PRIVATE,
    "https://abc.onion",
    "https://router.home.arpa",
    "https://1.0.0.127.in-addr.arpa",
  ),
  ...fail(PRIVATE, "https://wiki.intranet", "https://db.private", "https://localhost.localdomain"),
  ...fail(PRIVATE, "https://api.default.svc", "https://redis.service.consul", "https://web.docker"),
  ...fail(
    PRIVATE,
    "https://ex.mail",
    "https://a.domain",
    "https://a.intra",
    "https://pc.workgroup",
  ),
  ...fail(
    PRIVATE,
    "https://a.alt",
    "https://a.ｌｏｃａｌ",
    "https://a。internal",
    "https://a%2elocal",
  ),
  ...pass("https://my-internal.example.com", "https://internal.example.com", "https://local.dev"),
  ...pass(
    "https://localhost.com",
    "https://test.example.com",
    "https://mylocal.io",
    "https://a.land",
  ),
  ...pass("https://lan.io", "https://home.co", "https://example.localhosts.com", "https://a.homes"),
];

const OURS: UrlRow[] = [
  ...fail(OWN, "https://api.afterword.com/api/jobs", "https://API.Afterword.COM."),
  ...fail(
    OWN,
    "https://api.afterword.com:8443",
    "https://api%2eafterword.com",
    "https://ａpi.afterword.com",
  ),
  ...pass("https://afterword.com", "https://www.afterword.com", "https://api.afterword.com.br"),
  ...pass(
    "https://eu.api.afterword.com",
    "https://myapi.afterword.com",
    "https://acme.workers.dev",
  ),
  ...under({ ...RULES, ownOrigin: "https://api.afterword.com." }, OWN, "https://api.afterword.com"),
  ...under(
    { ...RULES, ownOrigin: "https://API.afterword.com:8443" },
    OWN,
    "https://api.afterword.com",
  ),
  ...under(
    RULES,
    OWN,
    "https://jobs.afterword.net/api/jobs",
    "https://JOBS.afterword.net.",
    "https://status.afterword.net",
  ),
  ...under(RULES, null, "https://other.afterword.net"),
  ...under({ ...RULES, ownOrigin: "no origin" }, null, "https://api.afterword.com"),
  ...under({ ...RULES, ownOrigin: "http://localhost:8787" }, null, "https://api.afterword.com"),
  ...under(ON_WORKERS_DEV, OWN, "https://afterword.acme.workers.dev", "https://acme.workers.dev."),
  ...under(
    ON_WORKERS_DEV,
    OWN,
    "https://other.ACME.workers.dev",
    "https://1a2b-afterword.acme.workers.dev",
  ),
  ...under(ON_WORKERS_DEV, OWN, "https://a.b.acme.workers.dev", "https://other.acme.workers.dev."),
  ...under(
    ON_WORKERS_DEV,
    null,
    "https://afterword.other.workers.dev",
    "https://notacme.workers.dev",
  ),
  ...under(ON_WORKERS_DEV, null, "https://acme.workers.dev.example.com", "https://workers.dev"),
];

const ALLOWED: UrlRow[] = [
  ...pass("http://127.0.0.1:3000", "http://127.0.0.1:3000/hook?a=b", "http://0x7f.1:3000/hook"),
  ...pass(
    "http://receiver:8080/hook",
    "HTTP://RECEIVER:8080",
    "https://10.0.0.1",
    "https://10.0.0.1:443",
  ),
  ...fail(
    NOT_HTTPS,
    "http://127.0.0.1:3001",
    "http://127.0.0.1",
    "http://10.0.0.1",
    "http://receiver",
  ),
  ...fail(
    NOT_HTTPS,
    "blob:http://127.0.0.1:3000/1",
    "ws://127.0.0.1:3000",
    "http://receiver.:8080",
  ),
  ...fail(IP, "https://10.0.0.1:8443", "https://10.0.0.2"),
  ...fail(PORT, "https://127.0.0.1:3000", "https://receiver:8080"),
  ...fail(CREDENTIALS, "http://user:secret@127.0.0.1:3000/hook", "http://127.0.0.1:3000@evil.com"),
  ...fail(DECEPTIVE, "http://127.0.0.1:3000/a b", "http://127.0.0.1:3000\\@evil.com"),
  ...fail(NOT_HTTPS, "http://evil.com#@127.0.0.1:3000"),
  ...fail(LONG, `http://127.0.0.1:3000/${"x".repeat(2_048)}`),
];

/** Which addresses may be sent to: one row for each rule, each way to spell its breach, and what only looks like one. */
export const URL_TABLE: readonly UrlRow[] = [TEXT, SHAPE, ADDRESSES, NAMES, OURS, ALLOWED].flat();
