/** What a worker is told by the process that started it. */
export interface WorkerPlace {
  /** From 1. A process that takes the place of one that ended has its number. */
  readonly number: number;
  /** Where all of them listen. */
  readonly port: number;
  /** Names the server in answers where its code does not: all workers are one. */
  readonly osId: string;
}

/** The variable of the environment that carries it. */
const variable = "AGENTOS_WORKER_PLACE";

let place: WorkerPlace | undefined;

/** The place of this process, where it is a worker. */
export function workerPlace(): WorkerPlace | undefined {
  const text = process.env[variable];
  // Processes that this one starts are no workers.
  delete process.env[variable];
  if (text !== undefined) place = JSON.parse(text);
  return place;
}

/** What the environment of a worker has beside ours. */
export function environmentOf(of: WorkerPlace): Record<string, string> {
  return { [variable]: JSON.stringify(of) };
}
