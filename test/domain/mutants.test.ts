import { expect, it } from "vitest";

import { END_MUTANTS } from "./end-mutants.ts";
import { checkLaws } from "./laws.ts";
import { ATTEMPT_MUTANTS } from "./attempt-mutants.ts";
import { STEP_MUTANTS } from "./step-mutants.ts";
import { WEBHOOK_MUTANTS } from "./webhook-mutants.ts";

/** Every fault the laws must see. */
const MUTANTS = [...ATTEMPT_MUTANTS, ...END_MUTANTS, ...STEP_MUTANTS, ...WEBHOOK_MUTANTS];

it.each(MUTANTS)("the laws kill the mutant: $name (invariant $breaks)", ({ machine, breaks }) => {
  // A seed of their own: whether the laws can see a fault must not depend on luck.
  expect(() => checkLaws(machine, { runs: 500, seed: 1 })).toThrow(`invariant ${breaks}:`);
});

it("every invariant of the machine has a mutant that breaks it", () => {
  expect(new Set(MUTANTS.map(({ breaks }) => breaks))).toEqual(new Set([1, 2, 3, 4, 5, 7, 10]));
});
