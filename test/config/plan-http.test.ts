import { describe, expect, it } from "vitest";

import { CreateJob } from "../../src/schema/job.ts";
import { openHeaders, openStepHeaders } from "../../src/secrets/sealed-headers.ts";
import { parseConfig } from "../../src/settings/config.ts";
import { planHttpSteps } from "../../src/submit/plan-http.ts";
import { SIGNING_KEY } from "../support/signing-key.ts";

const CONFIG = parseConfig({
  SIGNING_KEY,
  AUTH_MODE: "none",
  OWN_HOSTS: "jobs.example.com",
  WEBHOOK_ALLOWED_ORIGINS: "http://127.0.0.1:3000",
});
const OWN = "https://api.example.com";

const planned = (...steps: object[]) =>
  planHttpSteps(CreateJob.parse({ steps }), { tenant: "acme", submittedTo: OWN }, CONFIG);

/** An `http` step behind one of another kind. */
const http = (over: object) =>
  planned(
    { type: "template", name: "first", template: "x" },
    { type: "http", name: "it", url: "https://a.example/", ...over },
  );

async function refusalOf(over: object) {
  const plan = await http(over);
  if (plan.ok) throw new Error("it was planned");
  return { isUrl: plan.isUrl, ...plan.refusals[0] };
}

describe("an http step's URL", () => {
  it.each([
    "https://a.example",
    "https://a.example:8443/x?y={{input.y}}#z",
    "https://a.example?q={{input.q}}",
    "https://a.example/{{input.a}}/{{#input.b}}x/{{/input.b}}",
    "https://a.example/{{ input.a }}..",
    "http://127.0.0.1:3000/{{input.a}}",
  ])("may be %s", async (url) => {
    expect(await http({ url })).toEqual({ ok: true, httpSteps: [null, { submittedTo: OWN }] });
  });

  it.each([
    ["http://a.example/", "is not https"],
    ["https://127.0.0.1/{{input.a}}", "names an IP address"],
    ["https://[::1]/", "names an IP address"],
    ["https://localhost/", "names a host without a dot"],
    ["https://api.example.com/api/jobs", "names a host of this service"],
    ["https://jobs.example.com/", "names a host of this service"],
    ["https://user:pass@a.example/", "holds credentials"],
    ["{{input.url}}", "holds a reference before its path"],
    ["https://{{input.host}}/", "holds a reference before its path"],
    ["https://a.example{{input.rest}}", "holds a reference before its path"],
    ["https://a.{{input.b}}.example/", "holds a reference before its path"],
    ["https://a.example:{{input.port}}/", "holds a reference before its path"],
    ["{{#input.x}}https://a.example/{{/input.x}}", "holds a reference before its path"],
    ["https://a.example/../x", "holds . or .. in its path"],
    ["https://a.example/a b", "holds a space, a backslash or a control character"],
  ])("may not be %s", async (url, fault) => {
    expect(await refusalOf({ url })).toEqual({
      isUrl: true,
      pointer: "/steps/1/url",
      detail: `url: ${fault}`,
    });
  });
});

describe("an http step's headers", () => {
  const headers = { authorization: "Bearer secret-value", "x-a": "b" };

  it("are sealed for this purpose and this tenant alone", async () => {
    const plan = await http({ headers });
    const sealed = (plan.ok ? plan.httpSteps[1]?.headers : null) ?? "";
    expect(JSON.stringify(plan)).not.toContain("secret-value");
    expect(await openStepHeaders(sealed, "acme", CONFIG)).toEqual(headers);
    expect(await openStepHeaders(sealed, "other", CONFIG)).toBeNull();
    expect(await openHeaders(sealed, "acme", CONFIG)).toBeNull();
  });

  it.each([
    ["host", "/steps/1/headers/host", "headers.host: is not the caller's to set"],
    [
      "Idempotency-Key",
      "/steps/1/headers/Idempotency-Key",
      "headers.Idempotency-Key: is not the caller's to set",
    ],
    [
      "idempotency_key",
      "/steps/1/headers/idempotency_key",
      "headers.idempotency_key: is not the caller's to set",
    ],
    [
      "a/b~c",
      "/steps/1/headers/a~1b~0c",
      "headers.a/b~c: is not a header's name of at most 64 characters",
    ],
  ])("may not hold %s, and the value is in no refusal", async (name, pointer, detail) => {
    const refusal = await refusalOf({ headers: { [name]: "secret-value" } });
    expect(refusal).toEqual({ isUrl: false, pointer, detail });
  });
});

it.each([
  ["a body with GET", { body: "x" }, "/steps/1/body", "body needs method POST"],
  [
    "a type of no body",
    { content_type: "text/plain" },
    "/steps/1/content_type",
    "content_type needs body",
  ],
  [
    "a type that is none",
    { method: "POST", body: "x", content_type: "text" },
    "/steps/1/content_type",
    "content_type is not a media type",
  ],
  [
    "a type that is two headers",
    { method: "POST", body: "x", content_type: "text/plain;\r\nx-a: b" },
    "/steps/1/content_type",
    "content_type is not a media type",
  ],
])("an http step may not have %s", async (_, over, pointer, detail) => {
  expect(await refusalOf(over)).toEqual({ isUrl: false, pointer, detail });
});
