import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

import { SECOND } from "./fixtures.ts";
import { lived, submissionsOf, type Fate } from "./day.ts";

/** The day that docs/estimates.md tells of, and others, so that it is no lucky one. */
const SEED = 20_261_122;
const OTHER_SEEDS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];

/** A wait so short is told to the second or not at all; relative to itself it says nothing. */
const WORTH_TELLING_SECONDS = 10;

const fates = lived(submissionsOf(SEED));

function whole(figure: number): boolean {
  return Number.isSafeInteger(figure) && figure >= 0;
}

function quantile(figures: number[], rank: number): number {
  return figures.toSorted((a, b) => a - b)[Math.ceil(rank * figures.length) - 1] ?? 0;
}

function sum(figures: number[]): number {
  return figures.reduce((all, figure) => all + figure, 0);
}

/** By how many seconds each job was told wrong. */
function errors(of: Fate[]): number[] {
  return of.map(({ told, waitedSeconds }) => Math.abs(told.seconds - waitedSeconds));
}

/** The same as a part of what it waited; of those that waited long enough. */
function relativeErrors(of: Fate[]): number[] {
  return of
    .filter(({ waitedSeconds }) => waitedSeconds >= WORTH_TELLING_SECONDS)
    .map(({ told, waitedSeconds }) => Math.abs(told.seconds - waitedSeconds) / waitedSeconds);
}

/** By what part all of them together were told too much; negative: too little. */
function bias(of: Fate[]): number {
  const told = sum(of.map(({ told: { seconds } }) => seconds));
  return told / sum(of.map(({ waitedSeconds }) => waitedSeconds)) - 1;
}

function percent(part: number): string {
  return `${Math.round(part * 100)} %`;
}

function range(parts: number[]): string {
  return `${percent(Math.min(...parts))} and ${percent(Math.max(...parts))}`;
}

/** docs/estimates.md without what the formatter does to line columns up. */
function docs(): string {
  const page = readFileSync(new URL("../../docs/estimates.md", import.meta.url), "utf8");
  return page.replaceAll(/ {2,}/g, " ");
}

/** A line of the table in docs/estimates.md. */
function line(name: string, of: Fate[]): string {
  const waits = of.map(({ waitedSeconds }) => waitedSeconds);
  const seconds = [waits, errors(of)].flatMap((figures) =>
    [0.5, 0.9].map((rank) => `${quantile(figures, rank).toFixed(1)} s`),
  );
  const relative = relativeErrors(of);
  const parts = [quantile(relative, 0.5), quantile(relative, 0.9), bias(of)].map(percent);
  return `| ${[name, of.length, ...seconds, relative.length, ...parts].join(" | ")} |`;
}

describe("on a simulated day of some 40,000 jobs", () => {
  const scheduled = fates.filter(({ submission: { at, dueAt } }) => dueAt > at);
  const prompt = fates.filter(({ submission: { at, dueAt } }) => dueAt === at);
  const calm = prompt.filter(({ part }) => part !== "outage");

  it("every job is told whole seconds and a position from zero", () => {
    expect(fates.length).toBeGreaterThan(20_000);
    const odd = fates.filter(({ told }) => !whole(told.seconds) || !whole(told.position));
    expect(odd).toEqual([]);
    expect(fates.filter(({ waitedSeconds }) => !(waitedSeconds >= 0))).toEqual([]);
  });

  it("half of those that wait are told so within a tenth of it, nine of ten within a third", () => {
    const relative = relativeErrors(fates);
    expect(relative.length).toBeGreaterThan(5_000);
    expect(quantile(relative, 0.5)).toBeLessThanOrEqual(0.1);
    expect(quantile(relative, 0.9)).toBeLessThanOrEqual(0.33);
    expect(quantile(errors(fates), 0.9)).toBeLessThanOrEqual(10);
  });

  it("they are told neither too little nor too much on the whole, but for the outage", () => {
    expect(Math.abs(bias(fates))).toBeLessThanOrEqual(0.1);
    for (const of of [calm, scheduled]) expect(Math.abs(bias(of))).toBeLessThanOrEqual(0.1);
    for (const part of new Set(calm.map(({ part }) => part))) {
      expect(Math.abs(bias(calm.filter((fate) => fate.part === part)))).toBeLessThanOrEqual(0.2);
    }
  });

  it("nobody who starts at once was told to wait for long", () => {
    const atOnce = prompt.filter(({ waitedSeconds }) => waitedSeconds < 1);
    expect(quantile(errors(atOnce), 0.99)).toBeLessThanOrEqual(2);
  });

  it("docs/estimates.md tells just these figures", () => {
    const urgent = fates.filter(({ submission }) => submission.urgent);
    const parts = Map.groupBy(prompt, ({ part }) => part);
    const table = [
      line("all", fates),
      line("scheduled", scheduled),
      line("urgent", urgent),
      ...[...parts].map(([part, of]) => line(part, of)),
      line("all, counts up to 10 s old", lived(submissionsOf(SEED), 10 * SECOND)),
    ];
    expect(docs()).toContain(table.join("\n"));
  });
});

describe("on ten other days", () => {
  const days = OTHER_SEEDS.map((seed) => lived(submissionsOf(seed)));
  const medians = days.map((day) => quantile(relativeErrors(day), 0.5));
  const biases = days.map(bias);

  it("half are told within a tenth, and all of them not much too little", () => {
    expect(Math.max(...medians)).toBeLessThanOrEqual(0.1);
    expect(Math.min(...biases)).toBeGreaterThanOrEqual(-0.1);
    expect(Math.max(...biases)).toBeLessThanOrEqual(0.3);
  });

  it("docs/estimates.md tells just how wrong", () => {
    expect(docs()).toContain(`a median error between ${range(medians)}`);
    expect(docs()).toContain(`a bias between ${range(biases)}`);
  });
});
