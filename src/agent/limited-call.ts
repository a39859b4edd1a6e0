import { ModelError } from "../errors.ts";
import type { ModelEvent, ModelRequest } from "../models/model.ts";
import type { AgentDefinition } from "./definition.ts";

type Given = ModelEvent | readonly ModelEvent[];

/** A call of the model that takes no longer than it may. */
export interface LimitedCall {
  /** What the model gives. Not a generator: a step of one more for each token would cost more than the token. */
  events: AsyncIterable<Given>;
  /** Lets go of the call. Again, it does nothing. */
  release(): void;
}

/**
 * Asks the model. A call over its limit ends as a failure that may pass; a model that does not listen to the signal is left
 * behind.
 */
export function limitedCall({ model, modelTimeLimit }: AgentDefinition, request: ModelRequest): LimitedCall {
  const limit = new AbortController();
  const signal = AbortSignal.any([request.signal, limit.signal]);
  let giveUp: (reason: unknown) => void = () => undefined;
  let given: AsyncIterator<Given> | undefined;
  const timer = setTimeout(() => {
    const message = `The model took longer than its limit of ${modelTimeLimit} s.`;
    limit.abort(new ModelError(message, { retryable: true }));
    giveUp(limit.signal.reason);
  }, modelTimeLimit * 1000);
  const next = () =>
    new Promise<IteratorResult<Given>>((resolve, reject) => {
      giveUp = reject;
      given ??= model.generate({ ...request, signal })[Symbol.asyncIterator]();
      if (limit.signal.aborted) reject(limit.signal.reason);
      else given.next().then(resolve, reject);
    });
  return {
    events: { [Symbol.asyncIterator]: () => ({ next }) },
    release() {
      clearTimeout(timer);
      // Not awaited: a model that never answers would hold the run back.
      given?.return?.().catch(() => undefined);
      given = undefined;
    },
  };
}
