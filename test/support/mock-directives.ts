import { isJsonObject, type JsonObject } from "../../src/events/json.ts";

/** How the mock model answers one request. */
export interface Plan {
  /** Milliseconds before the first piece, and before each. */
  ttft: number;
  delay: number;
  /** Pieces after which the connection is cut. */
  drop: number;
  /** An HTTP status instead of an answer. */
  error?: { status: number; code: string; after?: string };
  /** The first requests with this message fail. */
  errors?: { count: number; status: number };
  calls: { name: string; arguments: string }[];
  reasoning: string[];
  words: string[];
  /** Words of the input: what counts as its tokens. */
  inputWords: number;
  /** The last user message, directives included. */
  message: string;
}

/** Reads from what the model is asked how it shall answer. Takes the items of both APIs. */
export function planFor(items: readonly JsonObject[]): Plan {
  const { message, outputs } = lastExchange(items);
  const { values, tools, text } = readDirectives(message);
  const [count, status] = (values.get("errors") ?? "").split(":").map(Number);
  const answered = outputs.length > 0;
  const after = values.get("after");
  return {
    ttft: Number(values.get("ttft") ?? 0),
    delay: Number(values.get("delay") ?? 0),
    drop: Number(values.get("drop") ?? Number.POSITIVE_INFINITY),
    ...(values.has("error") && {
      error: {
        status: Number(values.get("error")),
        code: values.get("code") ?? "mock",
        ...(after !== undefined && { after }),
      },
    }),
    ...(count && status && { errors: { count, status } }),
    calls: answered ? [] : tools.map(toolCall),
    reasoning: pieces(values.get("reason") ?? ""),
    words: answer(values, text, outputs, items.length),
    inputWords: items.reduce((sum, item) => sum + (contentText(item.content).match(/\S+/g)?.length ?? 0), 0),
    message,
  };
}

function answer(values: Map<string, string>, text: string, outputs: string[], seen: number): string[] {
  const tokens = values.get("tokens");
  if (tokens !== undefined) return Array.from({ length: Number(tokens) }, (_, index) => `word${index} `);
  const say = values.get("say");
  if (say !== undefined) return pieces(say);
  if (outputs.length > 0) return pieces(`Tool said: ${outputs.join(" | ")}`);
  return pieces(`You said: ${text} (messages seen: ${seen})`);
}

function lastExchange(items: readonly JsonObject[]): { message: string; outputs: string[] } {
  const outputs: string[] = [];
  for (const item of items.toReversed()) {
    if (item.type === "function_call_output") outputs.unshift(contentText(item.output));
    else if (item.role === "tool") outputs.unshift(contentText(item.content));
    else if (item.role === "user") return { message: contentText(item.content), outputs };
  }
  return { message: "", outputs };
}

function contentText(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((part) => (isJsonObject(part) ? (part.text ?? "") : "")).join("");
}

function readDirectives(message: string): { values: Map<string, string>; tools: string[]; text: string } {
  const values = new Map<string, string>();
  const tools: string[] = [];
  let text = "";
  let at = 0;
  for (const match of message.matchAll(/\[\[(\w+)=/g)) {
    // Inside the value of the one before.
    if (match.index < at) continue;
    const start = match.index + match[0].length;
    const end = valueEnd(message, start);
    if (end < 0) continue;
    const value = message.slice(start, end).trim();
    if (match[1] === "tool") tools.push(value);
    else values.set(match[1] ?? "", value);
    text += message.slice(at, match.index);
    at = end + 2;
  }
  return { values, tools, text: (text + message.slice(at)).trim() };
}

/** Where the value's `]]` is. JSON in it may have brackets of its own. */
function valueEnd(message: string, start: number): number {
  const first = message.indexOf("]]", start);
  for (let end = first; end >= 0; end = message.indexOf("]]", end + 1)) {
    const json = /^(?:\s*[\w.-]+)?\s*([[{][\s\S]*)$/.exec(message.slice(start, end))?.[1];
    if (json === undefined || isJson(json)) return end;
  }
  return first;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function toolCall(directive: string): { name: string; arguments: string } {
  const space = directive.indexOf(" ");
  if (space < 0) return { name: directive, arguments: "{}" };
  return { name: directive.slice(0, space), arguments: directive.slice(space + 1) };
}

function pieces(text: string): string[] {
  return text === "" ? [] : text.split(/(?<= )/);
}
