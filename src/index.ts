import { consume } from "./consumer.ts";
import { createApp } from "./http/app.ts";

export { JobObject } from "./job-object.ts";

const app = createApp();

export default {
  fetch: app.fetch,
  queue: consume,
} satisfies ExportedHandler<Env>;
