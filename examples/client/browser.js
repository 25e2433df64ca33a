import { createClient } from "afterword/client";

/** Shows the answer in this element as it comes. */
export async function ask(prompt, element) {
  const { afterword, ...submission } = await post("/ask", prompt);
  const token = async () => (await post("/token", submission.job_id)).subscribe_token;
  for await (const event of createClient({ baseUrl: afterword }).stream(submission, { token })) {
    // Text of earlier attempts is void when another starts.
    if (event.type === "started") element.textContent = "";
    if (event.type === "delta") element.append(event.delta);
    if (event.type === "failed") element.textContent = event.error;
  }
}

/** What the backend answers. */
async function post(path, body) {
  return (await fetch(path, { method: "POST", body })).json();
}
