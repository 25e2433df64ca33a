import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** Builds lib/ as `prepare` does, so that whoever takes it by its name gets it as it stands now. */
export async function setup(): Promise<void> {
  const tsc = "node_modules/typescript/bin/tsc";
  await promisify(execFile)(process.execPath, [tsc, "-p", "lib"]);
}
