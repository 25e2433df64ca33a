import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** Runs a curl command as a user's shell would, and adds the answer's status on a line of its own. */
export async function sh(curl: string): Promise<string> {
  const command = `${curl} --noproxy '*' -sS -w '\n%{http_code}'`;
  return (await promisify(execFile)("sh", ["-c", command])).stdout;
}
