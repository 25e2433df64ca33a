import { serve } from "@hono/node-server";

import app from "./hono.js";

const { PORT = "3000" } = process.env;

serve({ fetch: app.fetch, port: Number(PORT) }, () => console.log(`Listening on ${PORT}`));
