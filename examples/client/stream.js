import { createClient } from "afterword/client";

const { AFTERWORD_URL = "http://localhost:8787", AFTERWORD_KEY } = process.env;
const client = createClient({ baseUrl: AFTERWORD_URL, apiKey: AFTERWORD_KEY });

const [, , prompt = "Why is the sky blue?"] = process.argv;
const { job_id } = await client.submit({ prompt });

for await (const event of client.stream(job_id)) {
  if (event.type === "delta") process.stdout.write(event.delta);
  // What came of that attempt is void; the next one begins anew.
  if (event.type === "attempt_failed") console.log(`\n[${event.error}]`);
  if (event.type === "failed") console.log(`\n${event.error}`);
}
