/**
 * How a provider limits us, as its answer says. `limit`: in a window whose length it does not tell (Groq counts requests
 * by the day). `remaining`: what is left of it. `resetMs`: until all of it is there again; at most a day. Null: not said.
 */
export type LearnedLimit = {
  limit: number | null;
  remaining: number | null;
  resetMs: number | null;
};

/** What one answer of a provider says of its limits. `retryAfterMs`: when it wants to be asked again; at most a day. */
export type Learned = {
  requests: LearnedLimit | null;
  tokens: LearnedLimit | null;
  retryAfterMs: number | null;
};
