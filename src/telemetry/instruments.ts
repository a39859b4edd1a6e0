/**
 * What it takes to listen to runs, and nothing that a start needs: it is loaded before the first run, with the packages
 * that it is built on.
 */
export { Meters, metricsText } from "./meters.ts";
export { otlpProcessor } from "./otlp.ts";
export { activeTraceparent, ownTracer, remoteSpan } from "./provider.ts";
export { RunSpans } from "./run-spans.ts";
