import { it } from "vitest";

import { accept, transition } from "../../src/domain/transition.ts";
import { checkLaws } from "./laws.ts";

it("invariants 1 to 5, 7 and 10 hold in every life of a job", () => {
  checkLaws({ accept, transition }, { runs: 4_000 });
}, 60_000);
