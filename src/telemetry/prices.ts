import type { RunMetrics, TokenUsage } from "../events/metrics.ts";

/** What one million tokens of a model cost, by kind. A server's prices are all in one currency. */
export interface ModelPrice {
  input: number;
  output: number;
  /** Input that the provider read from its cache. Default: as `input`. */
  cacheRead?: number;
  /** Input that the provider wrote to its cache. Default: as `input`. */
  cacheWrite?: number;
}

/** Prices by model: by its id, or by provider and id where two providers have the same: `"OpenAI/gpt-5.5"`. */
export type Prices = Readonly<Record<string, ModelPrice>>;

/** What tokens of a model cost; null where the model has no price. */
export function costOf(
  prices: Prices,
  model: { id: string; provider: string },
  usage: TokenUsage,
): number | null {
  const price = own(prices, `${model.provider}/${model.id}`) ?? own(prices, model.id);
  if (!price) return null;
  // Tokens of the cache are part of the input, reasoning is part of the output.
  const fresh = Math.max(0, usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens);
  const sum =
    fresh * price.input +
    usage.cache_read_tokens * (price.cacheRead ?? price.input) +
    usage.cache_write_tokens * (price.cacheWrite ?? price.input) +
    usage.output_tokens * price.output;
  return round(sum / 1_000_000);
}

/** The metrics of a run with what it cost: null where it used a model without a price, or where none is known. */
export function priced(prices: Prices, metrics: RunMetrics): RunMetrics {
  const models = metrics.details?.model;
  if (!models) return { ...metrics, cost: null };
  const costs = models.map((usage) => costOf(prices, usage, usage));
  const known = costs.filter((cost) => cost !== null);
  return {
    ...metrics,
    cost: known.length < costs.length ? null : round(known.reduce((sum, cost) => sum + cost, 0)),
    details: { ...metrics.details, model: models.map((usage, i) => ({ ...usage, cost: costs[i]! })) },
  };
}

function own(prices: Prices, key: string): ModelPrice | undefined {
  return Object.hasOwn(prices, key) ? prices[key] : undefined;
}

/** Sums of decimals end in noise: what is smaller than a billionth is none of it. */
function round(amount: number): number {
  return Math.round(amount * 1e9) / 1e9;
}
