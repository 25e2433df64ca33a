import { createTestHarness } from "wrangler";

export type Product = Awaited<ReturnType<typeof startProduct>>;

/** Starts the built Worker, its queues and objects on a real port, as `npm start` would but for the given settings. */
export async function startProduct(
  options: { vars?: Record<string, string>; secrets?: Record<string, string> } = {},
) {
  const vars = { AUTH_MODE: "none", ATTEMPTS: "detached", ...options.vars };
  const harness = createTestHarness({
    root: process.cwd(),
    workers: [{ configPath: "wrangler.toml", vars, secrets: options.secrets ?? {} }],
  });
  const { url } = await harness.listen();
  return { url: url.origin, harness, close: () => harness.close() };
}
