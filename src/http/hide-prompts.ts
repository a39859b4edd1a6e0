import type { Principal } from "../db/principal.ts";
import type { StoredSpan, TraceDetail } from "../db/traces.ts";
import { attributes as a } from "../telemetry/attributes.ts";

/** Whether messages of role `system` are shown: where authorization is off, and to administrators. */
export function seesPrompts({ unrestricted, seesPrompts: may = true }: Principal): boolean {
  return unrestricted && may;
}

/** Traces as the principal may see them: without what the model was told by the server. */
export function tracesFor(traces: readonly TraceDetail[], principal: Principal): readonly TraceDetail[] {
  if (seesPrompts(principal)) return traces;
  return traces.map((trace) => ({ ...trace, spans: trace.spans.map(withoutPrompts) }));
}

function withoutPrompts(span: StoredSpan): StoredSpan {
  const messages = span.attributes[a.inputMessages];
  if (typeof messages !== "string") return span;
  const { [a.inputMessages]: _, ...others } = span.attributes;
  const shown = withoutSystem(messages);
  return {
    ...span,
    attributes: shown === undefined ? others : { ...others, [a.inputMessages]: shown },
  };
}

/** Messages as they are recorded, in JSON. What cannot be read is not shown either. */
function withoutSystem(messages: string): string | undefined {
  try {
    const all = JSON.parse(messages) as { role?: unknown }[];
    return JSON.stringify(all.filter(({ role }) => role !== "system"));
  } catch {
    return undefined;
  }
}
