import type { Quantiles } from "./usage.ts";

/** Each class of a histogram is so much wider than the one before: what is read from it is off by 2.5 % at most. */
const growth = 1.05;

/** Counts by class: `[class, count, …]`, in the order of the classes. Histograms can be added, which quantiles cannot. */
export type Histogram = Map<number, number>;

/** Takes a value in: seconds, above 0. */
export function observe(histogram: Histogram, seconds: number): void {
  const place = Math.ceil(Math.log(Math.max(seconds, 1e-6)) / Math.log(growth));
  histogram.set(place, (histogram.get(place) ?? 0) + 1);
}

/** Adds one histogram to another, in place. */
export function addHistogram(sum: Histogram, histogram: Histogram): void {
  for (const [place, count] of histogram) sum.set(place, (sum.get(place) ?? 0) + count);
}

/** How many values were taken in. */
export function countOf(histogram: Histogram): number {
  let sum = 0;
  for (const count of histogram.values()) sum += count;
  return sum;
}

/** The quantiles of what was taken in; undefined where nothing was. */
export function quantilesOf(histogram: Histogram): Quantiles | undefined {
  const total = countOf(histogram);
  if (total === 0) return undefined;
  const sorted = [...histogram].sort(([a], [b]) => a - b);
  const at = (share: number) => {
    let left = Math.ceil(total * share);
    for (const [place, count] of sorted) {
      left -= count;
      // The middle of the class.
      if (left <= 0) return round((growth ** place + growth ** (place - 1)) / 2);
    }
    return 0;
  };
  return { p50: at(0.5), p95: at(0.95) };
}

/** To be stored. */
export function histogramText(histogram: Histogram): string {
  return JSON.stringify([...histogram].flat());
}

/** What was stored. */
export function histogramOf(text: string): Histogram {
  const flat = JSON.parse(text) as number[];
  const histogram: Histogram = new Map();
  for (let i = 0; i < flat.length; i += 2) histogram.set(flat[i]!, flat[i + 1]!);
  return histogram;
}

function round(seconds: number): number {
  return Number(seconds.toPrecision(4));
}
