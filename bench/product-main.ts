import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createTestHarness } from "wrangler";

import { startProduct, type Product } from "../test/support/product.ts";

/** The product in a process of its own, so that what the harness does is not done by who measures. */
type Order = { vars: Record<string, string>; entry?: string };
const { vars, entry } = JSON.parse(process.argv[2] ?? "") as Order;

const product = entry === undefined ? await startProduct({ vars }) : await startWrapped(entry);
// The harness keeps every line the Worker logs, for tests to look at.
setInterval(() => product.harness.clearLogs(), 1_000);
process.once("disconnect", () => void product.close().finally(() => process.exit()));
process.send?.({ url: product.url });

/** The same settings, with a Worker of the benchmark in place of the product's entry. */
async function startWrapped(entry: string): Promise<Product> {
  const root = process.cwd();
  const settings = await readFile("wrangler.toml", "utf8");
  const main = join(import.meta.dirname, entry);
  const changed = settings
    .replace(/^main = .*$/m, `main = ${JSON.stringify(main)}`)
    .replace(
      /^(\[vars\])$/m,
      `[alias]\nafterword = ${JSON.stringify(join(root, "src/index.ts"))}\n\n$1`,
    )
    .replace(/^directory = "\.\/(.*)"$/m, (_, path: string) => `directory = "${join(root, path)}"`);
  const folder = await mkdtemp(join(tmpdir(), "afterword-bench-"));
  const configPath = join(folder, "wrangler.toml");
  await writeFile(configPath, changed);
  const merged = { AUTH_MODE: "none", ATTEMPTS: "detached", ...vars };
  const harness = createTestHarness({ root, workers: [{ configPath, vars: merged }] });
  const { url } = await harness.listen();
  await rm(folder, { recursive: true });
  return { url: url.origin, harness, close: () => harness.close() };
}
