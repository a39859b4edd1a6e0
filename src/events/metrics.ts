/** Tokens that a model reported for one or more turns. All are counts. */
export interface TokenUsage {
  input_tokens: number;
  output_tokens: number;
  total_tokens: number;
  /** Output tokens that the model spent on reasoning; part of `output_tokens`. */
  reasoning_tokens: number;
  /** Input tokens that the provider read from its cache; part of `input_tokens`. */
  cache_read_tokens: number;
  /** Input tokens that the provider wrote to its cache. */
  cache_write_tokens: number;
}

/** What one model used in a run. */
export interface ModelUsage extends TokenUsage {
  id: string;
  provider: string;
  /** What that costs, in the currency of the server's prices; null where no price is known. */
  cost?: number | null;
}

/** What a run used and how long it took. Times are in seconds. */
export interface RunMetrics extends TokenUsage {
  /** From the start of the run to the first text or tool call of the model. */
  time_to_first_token?: number;
  /** From the start of the run to its end. */
  duration?: number;
  /** What the run costs, in the currency of the server's prices; null where a price is missing. */
  cost?: number | null;
  /** The same tokens by model. */
  details?: { model: ModelUsage[] };
}

/** Usage of nothing: what a sum begins with. */
export function noTokens(): TokenUsage {
  return {
    input_tokens: 0,
    output_tokens: 0,
    total_tokens: 0,
    reasoning_tokens: 0,
    cache_read_tokens: 0,
    cache_write_tokens: 0,
  };
}

/** Adds `usage` to `sum`, in place. */
export function addTokens(sum: TokenUsage, usage: TokenUsage): void {
  sum.input_tokens += usage.input_tokens;
  sum.output_tokens += usage.output_tokens;
  sum.total_tokens += usage.total_tokens;
  sum.reasoning_tokens += usage.reasoning_tokens;
  sum.cache_read_tokens += usage.cache_read_tokens;
  sum.cache_write_tokens += usage.cache_write_tokens;
}
