import { Api } from "./api.ts";
import { startProduct } from "./product.ts";
import { promptBehaviour, startProvider, type Behaviour, type Call } from "./provider-server.ts";
import { WranglerProcess } from "./wrangler-process.ts";

/** Waits short enough for a test, the lease long enough for a busy machine, and a provider that limits nobody. */
const SETTINGS = {
  OPENAI_API_KEY: "test-key",
  OPENAI_REQUESTS_PER_MINUTE: "0",
  GROQ_API_KEY: "test-key",
  OPENROUTER_API_KEY: "test-key",
  BEDROCK_API_KEY: "test-key",
  WORKERS_AI_API_KEY: "test-key",
  RETRY_BASE_MS: "20",
  LEASE_SECONDS: "10",
  HEADERS_TIMEOUT_MS: "5000",
  IDLE_TIMEOUT_MS: "5000",
  PULSE_MS: "200",
};

type Product = { url: string; close: () => Promise<void> };
type Vars = Record<string, string>;

export type Journey = Awaited<ReturnType<typeof startJourney>>;
export type ProcessJourney = Awaited<ReturnType<typeof startProcessJourney>>;

/** The product on a port, with a provider of our own behind it and a user in front. */
export function startJourney(vars: Vars = {}, secrets: Vars = {}) {
  return journeyTo((settings) => startProduct({ vars: settings, secrets }), vars);
}

/** The same as `npm start` runs it: for what depends on true sockets or on dying. Takes longer to start. */
export function startProcessJourney(vars: Vars = {}) {
  return journeyTo((settings) => WranglerProcess.start(settings), vars);
}

async function journeyTo<P extends Product>(start: (vars: Vars) => Promise<P>, vars: Vars) {
  const provider = await startProvider();
  const scripted = new Map<string, (call: Call) => Behaviour>();
  provider.behave = (call) => (scripted.get(call.prompt) ?? promptBehaviour)(call);
  const product = await start({ ...SETTINGS, ...addresses(provider.url), ...vars });
  return {
    provider,
    product,
    api: new Api(product.url),
    /** What calls with this prompt meet, where a directive in the prompt cannot say it. */
    script: (prompt: string, behave: (call: Call) => Behaviour) => scripted.set(prompt, behave),
    close: async () => {
      await product.close();
      await provider.close();
    },
  };
}

/** All of them answered by one: for what must not be felt by calls to another. */
function addresses(url: string): Vars {
  const names = ["OPENAI", "GROQ", "OPENROUTER", "BEDROCK", "WORKERS_AI"];
  return Object.fromEntries(names.map((name) => [`${name}_BASE_URL`, url]));
}

let prompts = 0;

/** A prompt nobody else used, so that the provider's calls for it are this job's. */
export function freshPrompt(directive = ""): string {
  prompts += 1;
  return `Question ${prompts} ${directive}`.trim();
}

/** The text the provider sends in a call that answers with so many tokens. */
export function answerOf({ id }: Pick<Call, "id">, tokens = 20): string {
  return Array.from({ length: tokens }, (_, at) => `a${id}.${at} `).join("");
}
