import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { render, type Family, type Series } from "../../src/domain/openmetrics.ts";
import { readOpenMetrics } from "../support/openmetrics.ts";

const GAUGE: Series = { type: "gauge", name: "depth", help: "How deep.", samples: [] };

function gauge(value: number, labels: Record<string, string> = {}): Family {
  return { ...GAUGE, samples: [{ labels, value }] };
}

describe("a metric is written", () => {
  it.each<[string, Family, string[]]>([
    ["a gauge", gauge(3), ["# TYPE depth gauge", "# HELP depth How deep.", "depth 3"]],
    [
      "a counter with its unit and labels",
      {
        type: "counter",
        name: "cost_usd",
        unit: "usd",
        help: "Dollars.",
        samples: [{ labels: { model: "gpt-4o", provider: "openai" }, value: 0.25 }],
      },
      [
        "# TYPE cost_usd counter",
        "# UNIT cost_usd usd",
        "# HELP cost_usd Dollars.",
        'cost_usd_total{model="gpt-4o",provider="openai"} 0.25',
      ],
    ],
    [
      "a histogram with the bucket that holds all",
      {
        type: "histogram",
        name: "wait_seconds",
        unit: "seconds",
        help: "Waits.",
        buckets: [
          { le: 0.5, count: 1 },
          { le: 1, count: 2 },
        ],
        sum: 3.4,
        count: 3,
      },
      [
        "# TYPE wait_seconds histogram",
        "# UNIT wait_seconds seconds",
        "# HELP wait_seconds Waits.",
        'wait_seconds_bucket{le="0.5"} 1',
        'wait_seconds_bucket{le="1.0"} 2',
        'wait_seconds_bucket{le="+Inf"} 3',
        "wait_seconds_count 3",
        "wait_seconds_sum 3.4",
      ],
    ],
    [
      "a label that holds what ends one",
      gauge(1, { model: 'a"b\\c\nd' }),
      ["# TYPE depth gauge", "# HELP depth How deep.", String.raw`depth{model="a\"b\\c\nd"} 1`],
    ],
    [
      "a number that is very small",
      gauge(1e-9),
      ["# TYPE depth gauge", "# HELP depth How deep.", "depth 1e-9"],
    ],
    ["one without a series: not at all", GAUGE, []],
  ])("%s", (_, family, lines) => {
    expect(render([family])).toBe([...lines, "# EOF", ""].join("\n"));
  });

  it("whatever its labels hold, so that it is read again as it was", () => {
    const labels = fc.record({ model: fc.string({ unit: "binary" }), provider: fc.string() });
    fc.assert(
      fc.property(
        labels,
        fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
        (labels, value) => {
          const family = gauge(value, labels);
          const read = readOpenMetrics(render([family])).get("depth");
          expect(read?.samples).toEqual([{ name: "depth", labels, value }]);
        },
      ),
    );
  });
});

describe("the reader", () => {
  it.each([
    ["no end", "# TYPE a gauge\n# HELP a A.\na 1\n"],
    ["a sample of no family", "a 1\n# EOF\n"],
    ["a counter without its suffix", "# TYPE a counter\n# HELP a A.\na 1\n# EOF\n"],
    ["a quote in a label", '# TYPE a gauge\n# HELP a A.\na{b="c"d"} 1\n# EOF\n'],
    ["a series twice", "# TYPE a gauge\n# HELP a A.\na 1\na 2\n# EOF\n"],
    ["a unit that its name hides", "# TYPE a gauge\n# UNIT a seconds\n# HELP a A.\na 1\n# EOF\n"],
    ["something that is no number", "# TYPE a gauge\n# HELP a A.\na NaN!\n# EOF\n"],
    [
      "buckets that fall",
      '# TYPE a histogram\n# HELP a A.\na_bucket{le="1.0"} 2\na_bucket{le="+Inf"} 1\na_count 1\na_sum 1\n# EOF\n',
    ],
    [
      "a boundary spelt otherwise",
      '# TYPE a histogram\n# HELP a A.\na_bucket{le="1"} 1\na_bucket{le="+Inf"} 1\na_count 1\na_sum 1\n# EOF\n',
    ],
  ])("of these tests refuses %s", (_, text) => {
    expect(() => readOpenMetrics(text)).toThrow(/OpenMetrics|family/);
  });
});
