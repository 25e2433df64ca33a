import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { completedBody, SECRET, signed } from "../lib/signed.ts";

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

type Packed = { filename: string; files: { path: string }[] };

describe("the package", () => {
  it("holds what is built for its users, and no source, test or secret", () => {
    const built = files.filter((path) => /^dist\/lib\/[a-z-]+(\.d\.ts|\.js)$/.test(path));
    expect(built).toContain("dist/lib/webhooks.js");
    expect(built).toContain("dist/lib/webhooks.d.ts");
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
      const module = moduleResolution === "bundler" ? "esnext" : "nodenext";
      const bare = { target: "es2022", lib: ["es2022"], types: [], strict: true, noEmit: true };
      const compilerOptions = { ...bare, module, moduleResolution };
      await writeFile(join(project, "receive.ts"), script);
      const settings = JSON.stringify({ compilerOptions, files: ["receive.ts"] });
      await writeFile(join(project, "tsconfig.json"), settings);
      const tsc = resolve("node_modules/typescript/bin/tsc");
      const compiled = run(process.execPath, [tsc, "-p", project]).catch((error) => error);
      expect(await compiled).toMatchObject({ stdout: "" });
    },
  );
});
