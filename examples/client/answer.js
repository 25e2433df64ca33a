import { createClient } from "afterword/client";

const { AFTERWORD_URL = "http://localhost:8787", AFTERWORD_KEY } = process.env;
const client = createClient({ baseUrl: AFTERWORD_URL, apiKey: AFTERWORD_KEY });

const [, , prompt = "Why is the sky blue?"] = process.argv;
const { job_id } = await client.submit({ prompt });
const job = await client.wait(job_id, { timeoutMs: 120_000 });
console.log(job.result?.content ?? job.error ?? job.reason);
