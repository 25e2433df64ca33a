import { glob, readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";

/** The faults that jobs may meet, of those that docs/faults.md numbers. */
const NUMBERS = range(1, 42).map((number) => `F${number}`);

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}

type Titled = { number: string; file: string; title: string };

/** Every title in the tests that begins with numbers, once for each of them. */
async function titles(): Promise<Titled[]> {
  const titled: Titled[] = [];
  for await (const path of glob("test/**/*.test.ts")) {
    const source = await readFile(path, "utf8");
    const file = path.replaceAll("\\", "/").replace(/^test\/(.*)\.test\.ts$/, "$1");
    for (const [, numbers = "", title = ""] of source.matchAll(/"((?:F\d+, )*F\d+): ([^"\n]+)"/g)) {
      for (const number of numbers.split(", ")) titled.push({ number, file, title });
    }
  }
  return titled;
}

/** The tests that the table names, row by row. */
async function named(): Promise<Titled[]> {
  const rows = (await readFile("docs/faults.md", "utf8")).matchAll(/^\| (F\d+) .*\|([^|]*)\|$/gm);
  return [...rows].flatMap(([, number = "", shownBy = ""]) =>
    shownBy.split(" · ").map((test) => {
      const [, file = "", title = ""] = /^`([^`]+)` (.+)$/.exec(test.trim()) ?? [];
      return { number, file, title };
    }),
  );
}

function numbersIn(titled: Titled[]): Set<string> {
  return new Set(titled.map(({ number }) => number));
}

describe("the table of faults", () => {
  it("has a row for every number, and no other", async () => {
    expect(numbersIn(await named())).toEqual(new Set(NUMBERS));
  });

  it("has the numbers that the tests' titles have", async () => {
    expect(numbersIn(await titles())).toEqual(new Set(NUMBERS));
  });

  it("names tests that are there, under that number", async () => {
    const there = await titles();
    const missing = (await named()).filter(
      (test) =>
        !there.some(
          ({ number, file, title }) =>
            number === test.number && file === test.file && title.startsWith(test.title),
        ),
    );
    expect(missing).toEqual([]);
  });
});
