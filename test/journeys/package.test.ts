import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { completedBody, SECRET, signed } from "../lib/signed.ts";
import { logOf, ScriptedApi, serving } from "../support/scripted-api.ts";

const run = promisify(execFile);

/** A project of somebody else, that has nothing installed but us. */
let project: string;
let files: string[];

beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "afterword-"));
  const { stdout } = await run("npm", ["pack", "--json", "--pack-destination", project]);
  const [packed] = Object.values(JSON.parse(stdout) as Record<string, Packed>);
  if (packed === undefined) throw new Error("nothing was packed");
  files = packed.files.map(({ path }) => path);
  // Unpacked by hand: npm would fetch what the Worker depends on, of which a receiver needs nothing.
  const home = join(project, "node_modules/afterword");
  await mkdir(home, { recursive: true });
  await run("tar", ["-xzf", join(project, packed.filename), "-C", home, "--strip-components=1"]);
  await writeFile(join(project, "package.json"), JSON.stringify({ type: "module" }));
});
afterAll(() => rm(project, { recursive: true, force: true }));

/** What the compiler has to say of this program in the project. */
async function compiled(script: string, options: { moduleResolution: string }): Promise<string> {
  const module = options.moduleResolution === "bundler" ? "esnext" : "nodenext";
  const bare = { target: "es2022", lib: ["es2022"], types: [], strict: true, noEmit: true };
  const compilerOptions = { ...bare, module, ...options };
  await writeFile(join(project, "program.ts"), script);
  const settings = JSON.stringify({ compilerOptions, files: ["program.ts"] });
  await writeFile(join(project, "tsconfig.json"), settings);
  const tsc = resolve("node_modules/typescript/bin/tsc");
  const told = run(process.execPath, [tsc, "-p", project]);
  return told.then(
    ({ stdout }) => stdout,
    ({ stdout }: { stdout: string }) => stdout,
  );
}

type Packed = { filename: string; files: { path: string }[] };

describe("the package", () => {
  it("holds what is built for its users, and no source, test or secret", () => {
    const built = files.filter((path) => /^dist\/lib\/[a-z-]+(\.d\.ts|\.js)$/.test(path));
    expect(built).toContain("dist/lib/webhooks.js");
    expect(built).toContain("dist/lib/webhooks.d.ts");
    expect(built).toContain("dist/lib/client.js");
    expect(built).toContain("dist/lib/client.d.ts");
    const rest = files.filter((path) => !built.includes(path)).toSorted();
    expect(rest).toEqual(["LICENSE", "README.md", "package.json"]);
  });

  it("verifies a delivery where it is imported by its name and nothing else is installed", async () => {
    const script = `
      import { verifyWebhook } from "afterword/webhooks";
      const { body, headers, secret } = JSON.parse(process.argv[2]);
      const event = await verifyWebhook(body, headers, secret);
      const { code } = await verifyWebhook(body + " ", headers, secret).catch((error) => error);
      console.log(JSON.stringify([event.type, code]));
    `;
    await writeFile(join(project, "receive.js"), script);
    const delivery = JSON.stringify({ ...signed(completedBody()), secret: SECRET });
    const { stdout } = await run(process.execPath, ["receive.js", delivery], { cwd: project });
    expect(JSON.parse(stdout)).toEqual(["job.completed", "no_match"]);
  });

  it("follows a job where it is imported by its name and nothing else is installed", async () => {
    const api = await ScriptedApi.start();
    const log = logOf(4);
    api.script(serving(log, 500), serving(log));
    const script = `
      import { AfterwordError, createClient } from "afterword/client";
      const client = createClient({ baseUrl: process.argv[2] });
      const seen = [];
      for await (const { seq } of client.stream("job")) seen.push(seq);
      console.log(JSON.stringify([seen, new AfterwordError("", { status: null, code: "no-answer" }).name]));
    `;
    await writeFile(join(project, "follow.js"), script);
    const { stdout } = await run(process.execPath, ["follow.js", api.url], { cwd: project });
    api.close();
    expect(JSON.parse(stdout)).toEqual([log.map(({ seq }) => seq), "AfterwordError"]);
    expect(api.asked).toHaveLength(2);
  });

  it.each(["nodenext", "bundler"])(
    "has types that need no library but the language's own, resolved as %s",
    async (moduleResolution) => {
      const script = `
        import { verifyWebhook, type WebhookEvent } from "afterword/webhooks";
        const event: WebhookEvent = await verifyWebhook("", { "webhook-id": undefined }, ["whsec_"]);
        if (event.type === "job.completed") event.result?.content.slice(1);
        if (event.type === "job.failed") event.attempts.toFixed();
        // @ts-expect-error Only a finished job has a result.
        if (event.type === "job.started") event.result;
      `;
      expect(await compiled(script, { moduleResolution })).toBe("");
    },
  );

  it.each([
    ["a browser's", { lib: ["es2022", "dom"] }],
    ["Node's", { types: ["node"] }],
    ["Workers'", { types: ["@cloudflare/workers-types"] }],
  ])("has a client whose types are at home among %s", async (_whose, platform) => {
    const script = `
      import { createClient, type Submission } from "afterword/client";
      const client = createClient({ baseUrl: "", fetch: globalThis.fetch });
      const left = new AbortController();
      const accepted: Submission = await client.submit({ prompt: "Why?" }, { signal: left.signal });
      for await (const event of client.stream(accepted, { after: 1 })) {
        if (event.type === "delta") event.delta.slice(1);
        // @ts-expect-error Only an attempt that failed is tried again.
        if (event.type === "delta") event.retry_at;
      }
      // @ts-expect-error There is no such model parameter.
      await client.submit({ prompt: "Why?", params: { heat: 1 } });
    `;
    const typeRoots = [resolve("node_modules/@types"), resolve("node_modules")];
    const options = { moduleResolution: "nodenext", typeRoots, ...platform };
    expect(await compiled(script, options)).toBe("");
  });
});
