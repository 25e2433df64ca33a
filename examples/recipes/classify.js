import { text } from "node:stream/consumers";

const { AFTERWORD_URL = "http://localhost:8787", AFTERWORD_KEY } = process.env;
const headers = {
  "content-type": "application/json",
  ...(AFTERWORD_KEY === undefined ? {} : { authorization: `Bearer ${AFTERWORD_KEY}` }),
};

const LABELS = ["praise", "complaint", "question"];
const response_format = {
  type: "json_schema",
  json_schema: {
    name: "classification",
    strict: true,
    schema: {
      type: "object",
      properties: { label: { type: "string", enum: LABELS } },
      required: ["label"],
      additionalProperties: false,
    },
  },
};

const lines = (await text(process.stdin)).split("\n").filter((line) => line.trim() !== "");
const requests = lines.map((line, index) => ({
  custom_id: `line-${index + 1}`,
  messages: [
    { role: "system", content: `Classify what a customer wrote as ${LABELS.join(", ")}.` },
    { role: "user", content: line },
  ],
}));
const params = { response_format, temperature: 0, max_tokens: 20 };

const submitted = await fetch(`${AFTERWORD_URL}/api/batches`, {
  method: "POST",
  headers,
  body: JSON.stringify({ model: "gpt-4o-mini", params, requests }),
});
if (!submitted.ok) throw new Error(await submitted.text());
const { batch_id } = await submitted.json();

let batch;
do {
  await new Promise((resolve) => setTimeout(resolve, 500));
  batch = await (await fetch(`${AFTERWORD_URL}/api/batches/${batch_id}`, { headers })).json();
  console.error(`${batch.progress} %`);
} while (!batch.is_complete);

const results = await fetch(`${AFTERWORD_URL}/api/batches/${batch_id}/results`, { headers });
for (const line of (await results.text()).trim().split("\n")) {
  const { custom_id, status, result, error } = JSON.parse(line);
  console.log(custom_id, status === "completed" ? JSON.parse(result.content).label : error);
}
