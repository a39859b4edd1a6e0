/** How much of the processor processes use, as Linux tells it in `/proc`. All in microseconds. */
import { readdirSync, readFileSync } from "node:fs";

/** Linux counts processor time in hundredths of a second. */
const microsecondsPerTick = 10_000;

/** A process's fields in `/proc/…/stat` after its name, which may hold blanks. */
function statOf(pid: number | string): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/** What a process has used, in user and kernel mode together. */
export function cpuOf(pid: number): number {
  const stat = statOf(pid);
  return (Number(stat[11]) + Number(stat[12])) * microsecondsPerTick;
}

/** What a process's main thread has used: in Node it is the one that limits how much a server can do. */
export function mainThreadOf(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "utf8").split(" ")[0]) / 1000;
}

interface Process {
  pid: number;
  /** With those of its children that have ended. */
  ticks: number;
}

/** All processes by the one that started them. */
function processes(): Map<number, Process[]> {
  const children = new Map<number, Process[]>();
  for (const name of readdirSync("/proc").filter((one) => /^\d+$/.test(one))) {
    try {
      const stat = statOf(name);
      const ticks = [11, 12, 13, 14].reduce((sum, field) => sum + Number(stat[field]), 0);
      const siblings = children.get(Number(stat[1])) ?? [];
      children.set(Number(stat[1]), [...siblings, { pid: Number(name), ticks }]);
    } catch {
      // It has ended since the folder was read.
    }
  }
  return children;
}

/** What all processes below one have used, at any depth, and those of them that have ended. */
export function cpuBelow(pid: number): number {
  const children = processes();
  const below = (parent: number): number =>
    (children.get(parent) ?? []).reduce((sum, child) => sum + child.ticks + below(child.pid), 0);
  return below(pid) * microsecondsPerTick;
}

/** The processes that one has started and that are still there. */
export function childrenOf(pid: number): number[] {
  return (processes().get(pid) ?? []).map((child) => child.pid);
}

/** What all processes of the machine have used, and what they could have: both summed over its cores. */
export function machineCpu(): { used: number; available: number } {
  const [line = ""] = readFileSync("/proc/stat", "utf8").split("\n");
  // user, nice, system, idle, iowait, irq, softirq, steal
  const ticks = line.split(/\s+/).slice(1, 9).map(Number);
  const all = ticks.reduce((sum, one) => sum + one, 0);
  const idle = ticks[3]! + ticks[4]!;
  return { used: (all - idle) * microsecondsPerTick, available: all * microsecondsPerTick };
}
