import { createClient } from "afterword/client";

const { AFTERWORD_URL = "http://localhost:8787", AFTERWORD_KEY } = process.env;
const client = createClient({ baseUrl: AFTERWORD_URL, apiKey: AFTERWORD_KEY });

const [, , ...prompts] = process.argv;
const { batch_id } = await client.submitBatch({ prompts });

for await (const { result, error } of client.batchResults(batch_id, { follow: true })) {
  console.log(result?.content ?? error);
}
