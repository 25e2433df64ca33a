import { z } from "@hono/zod-openapi";

/** The longest a request is held, in seconds (the contract's number). */
export const MAX_WAIT_SECONDS = 60;

/** `?wait=`: how long to hold the answer until there is something new. */
export const WaitQuery = z.coerce
  .number<string>()
  .int()
  .min(0)
  .max(MAX_WAIT_SECONDS)
  .optional()
  .meta({ description: "Seconds to wait for something new.", example: 30 });
