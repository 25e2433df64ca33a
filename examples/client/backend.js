import { serve } from "@hono/node-server";
import { createClient } from "afterword/client";
import { Hono } from "hono";

const { PORT = "3000", AFTERWORD_URL = "http://localhost:8787", AFTERWORD_KEY } = process.env;
const client = createClient({ baseUrl: AFTERWORD_URL, apiKey: AFTERWORD_KEY });

const app = new Hono();

app.post("/ask", async (context) => {
  const { job_id, subscribe_token } = await client.submit({ prompt: await context.req.text() });
  return context.json({ afterword: AFTERWORD_URL, job_id, subscribe_token });
});

// Yours knows who asks, and gives a token for nobody else's job.
app.post("/token", async (context) => {
  return context.json(await client.issueToken(await context.req.text()));
});

serve({ fetch: app.fetch, port: Number(PORT) }, () => console.log(`Listening on ${PORT}`));
