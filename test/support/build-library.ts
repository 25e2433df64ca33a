import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** Builds lib/ as `prepare` does, so that whoever takes it by its name, and the page, get it as it stands now. */
export async function setup(): Promise<void> {
  const tsc = "node_modules/typescript/bin/tsc";
  const build = (project: string) => promisify(execFile)(process.execPath, [tsc, "-p", project]);
  await Promise.all([build("lib"), build("lib/tsconfig.page.json")]);
}
