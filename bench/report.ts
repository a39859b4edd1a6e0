import type { Figures, Scenario } from "./load.ts";
import { median } from "./stats.ts";

/** The databases that our server is measured on. */
export type Engine = "sqlite" | "postgres";

/** The same thing measured of both servers, one after the other. */
export interface Pair<T> {
  floor: T;
  ours: T;
}

/** One round: both servers started anew, ours on an empty database. */
export interface Round {
  engine: Engine;
  round: number;
  startMs: Pair<number>;
  /** MiB, at the end of the round. */
  peakRss: Pair<number>;
  load: Partial<Record<Scenario, Pair<Figures>>>;
}

/** A line of the table. */
export interface Row {
  engine: Engine;
  figure: string;
  /** The median of the rounds; of errors the sum. */
  floor: number;
  ours: number;
  /** The median of each round's ours ÷ floor (`ratio`) or ours − floor (`added`). */
  ratio?: number;
  added?: number;
  target?: string;
  met?: boolean;
}

type Kind = "ratio" | "added" | "sum";

interface Target {
  text: string;
  met: (row: Row) => boolean;
}

const none: Target = { text: "0", met: (row) => row.ours === 0 };
const atLeast = (ratio: number): Target => ({
  text: `ratio ≥ ${ratio}`,
  met: (row) => (row.ratio ?? Number.NaN) >= ratio,
});
const under = (limit: number): Target => ({ text: `< ${limit}`, met: (row) => row.ours < limit });

/** The least share of the floor's non-streamed runs a second that each engine is held to. */
const RUNS_TARGET: Record<Engine, Target> = { sqlite: atLeast(0.4), postgres: atLeast(0.3) };

/** Makes the table's lines of all rounds of one engine. */
export function rowsOf(engine: Engine, rounds: readonly Round[], startLimit: number): Row[] {
  const rows: Row[] = [];
  const add = (figure: string, pairs: readonly Pair<number>[], kind: Kind, target?: Target): void => {
    if (pairs.length === 0) return;
    const merge = kind === "sum" ? (all: readonly number[]) => all.reduce((a, b) => a + b, 0) : median;
    const floor = merge(pairs.map((pair) => pair.floor));
    const ours = merge(pairs.map((pair) => pair.ours));
    const row: Row = { engine, figure, floor, ours };
    if (kind === "ratio") row.ratio = median(pairs.map((pair) => pair.ours / pair.floor));
    if (kind === "added") row.added = median(pairs.map((pair) => pair.ours - pair.floor));
    if (target) Object.assign(row, { target: target.text, met: target.met(row) });
    rows.push(row);
  };

  add(
    "start to healthy, ms",
    rounds.map((round) => round.startMs),
    "added",
    under(startLimit),
  );
  for (const scenario of ["runs", "stream", "ttft", "burst"] as const) {
    const steps = rounds.flatMap((round) => round.load[scenario] ?? []);
    const name = nameOf(scenario, steps[0]?.ours.clients ?? 0);
    const of = (pick: (figures: Figures) => number): Pair<number>[] =>
      steps.map(({ floor, ours }) => ({ floor: pick(floor), ours: pick(ours) }));
    if (scenario === "runs") {
      add(
        `${name}: runs/s`,
        of((f) => f.runsPerSecond),
        "ratio",
        RUNS_TARGET[engine],
      );
      add(
        `${name}: p50, ms`,
        of((f) => f.p50),
        "ratio",
      );
      add(
        `${name}: p99, ms`,
        of((f) => f.p99),
        "ratio",
      );
    } else if (scenario === "ttft") {
      add(
        `${name}: TTFT p50, ms`,
        of((f) => f.ttftP50),
        "added",
      );
      add(
        `${name}: TTFT p95, ms`,
        of((f) => f.ttftP95),
        "added",
      );
    } else if (scenario === "stream") {
      add(
        `${name}: chunks/s`,
        of((f) => f.chunksPerSecond),
        "ratio",
        atLeast(0.5),
      );
    } else {
      add(
        `${name}: seconds`,
        of((f) => f.seconds),
        "ratio",
      );
      add(
        `${name}: chunks/s`,
        of((f) => f.chunksPerSecond),
        "ratio",
      );
      add(
        `${name}: TTFT p50, ms`,
        of((f) => f.ttftP50),
        "added",
      );
      add(
        `${name}: TTFT p95, ms`,
        of((f) => f.ttftP95),
        "added",
      );
    }
    add(
      `${name}: errors`,
      of((f) => f.errors),
      "sum",
      none,
    );
    if (scenario !== "runs")
      add(
        `${name}: chunks missing`,
        of((f) => f.missingChunks),
        "sum",
        none,
      );
  }
  add(
    "peak RSS, MiB",
    rounds.map((round) => round.peakRss),
    "ratio",
  );
  return rows;
}

function nameOf(scenario: Scenario, clients: number): string {
  const count = clients.toLocaleString("en");
  if (scenario === "runs") return `non-streamed, ${count} clients`;
  if (scenario === "stream") return `streamed, ${count} clients`;
  if (scenario === "burst") return `${count} streams at once`;
  return `${count} client`;
}

/** The lines as text, in columns. */
export function tableOf(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.engine,
    row.figure,
    format(row.floor),
    format(row.ours),
    row.ratio !== undefined ? `× ${row.ratio.toFixed(2)}` : row.added !== undefined ? signed(row.added) : "",
    row.target ?? "",
    row.met === undefined ? "" : row.met ? "met" : "MISSED",
  ]);
  const all = [["engine", "figure", "floor", "ours", "ratio", "target", ""], ...cells];
  const widths = all[0]?.map((_, column) => Math.max(...all.map((line) => line[column]?.length ?? 0))) ?? [];
  const isNumber = (column: number): boolean => column >= 2 && column <= 4;
  return all
    .map((line) =>
      line.map((cell, column) =>
        isNumber(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      ),
    )
    .map((line) => line.join("  ").trimEnd())
    .join("\n");
}

/** A figure as short as it can be without hiding what matters. */
export function format(value: number): string {
  if (Number.isNaN(value)) return "–";
  const maximumFractionDigits =
    Number.isInteger(value) || Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en", { maximumFractionDigits });
}

function signed(value: number): string {
  return Number.isNaN(value) ? "–" : `${value < 0 ? "−" : "+"}${format(Math.abs(value))}`;
}
