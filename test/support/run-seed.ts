/** The seed of this run, told so that it can be given again: `SEED=… npm test`. */
export function seedOfRun(): number {
  const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
  console.log(`SEED=${seed}`);
  return seed;
}
