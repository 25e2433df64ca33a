import { expect, it } from "vitest";

import { holdWhole } from "../../src/http/whole-text.ts";

const NEVER = new AbortController().signal;
const MEBIBYTE = 1_048_576;

it("an isolate holds 16 MiB of whole texts at a time, and the next ones wait for their room", async () => {
  const letGo = await Promise.all([1, 2].map(() => holdWhole(8 * MEBIBYTE, NEVER)));
  const order: string[] = [];
  const next = holdWhole(8 * MEBIBYTE, NEVER).then((letGo) => {
    order.push("next");
    return letGo;
  });
  const left = new AbortController();
  const leaving = holdWhole(MEBIBYTE, left.signal);
  left.abort();
  (await leaving)();
  order.push("left");
  letGo[0]?.();
  (await next)();
  letGo[1]?.();
  expect(order).toEqual(["left", "next"]);
});

it("a text that is longer than that is held alone", async () => {
  const letGo = await holdWhole(1, NEVER);
  const large = holdWhole(20 * MEBIBYTE, NEVER);
  letGo();
  const letLargeGo = await large;
  const small = holdWhole(1, NEVER);
  letLargeGo();
  (await small)();
});

it("what a reader held that has gone is free again, though nobody lets it go", async () => {
  const left = new AbortController();
  const letGo = await holdWhole(16 * MEBIBYTE, left.signal);
  left.abort();
  const next = await holdWhole(16 * MEBIBYTE, NEVER);
  letGo();
  const order: string[] = [];
  const last = holdWhole(MEBIBYTE, NEVER).then((letLastGo) => {
    order.push("last");
    return letLastGo;
  });
  order.push("next lets go");
  next();
  (await last)();
  expect(order).toEqual(["next lets go", "last"]);
});
