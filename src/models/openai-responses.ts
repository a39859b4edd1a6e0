import type { Agent } from "undici";
import { ConfigurationError, ModelError } from "../errors.ts";
import { isJsonObject } from "../events/json.ts";
import { refuseUnfit, refuseUnknown, type Shape, shapes } from "../options.ts";
import { loadConnections } from "./connections.ts";
import { type AnswerHead, Exchange } from "./exchange.ts";
import type { Model, ModelEvent, ModelRequest } from "./model.ts";
import { brokenRequest, lostConnection, type OpenAIEndpoint, refusedRequest } from "./openai-errors.ts";
import { type OpenAIResponse, StreamedReply, wholeReply } from "./openai-reply.ts";
import { type OpenAISettings, openaiRequest, type ReasoningSettings } from "./openai-request.ts";
import { SseParser } from "./sse.ts";

/** Options of `OpenAIResponses`. All have defaults, most of them from the environment. */
export interface OpenAIResponsesOptions {
  /** The model. @default OPENAI_MODEL, else `gpt-5.5` */
  id?: string | undefined;
  /** @default OPENAI_API_KEY */
  apiKey?: string | undefined;
  /** Of any server that speaks the Responses API. @default OPENAI_BASE_URL, else `https://api.openai.com/v1` */
  baseUrl?: string | undefined;
  /**
   * Seconds without any byte from the provider after which a turn fails. A turn that is not streamed sends none
   * until it is whole.
   * @default 120
   */
  timeout?: number | undefined;
  /** How much the words vary. Reasoning models refuse it. */
  temperature?: number | undefined;
  /** The most tokens that a turn may have, reasoning included. */
  maxOutputTokens?: number | undefined;
  reasoning?: ReasoningSettings | undefined;
  /** Whether OpenAI keeps the responses, for its dashboard. @default false */
  store?: boolean | undefined;
  /** More headers for each request, such as `openai-project`. */
  headers?: Readonly<Record<string, string>> | undefined;
}

const defaultModel = "gpt-5.5";
const defaultBaseUrl = "https://api.openai.com/v1";
const defaultTimeout = 120;

const reasoningSettings: readonly string[] = ["effort", "summary"] satisfies (keyof ReasoningSettings)[];

const wanted = {
  id: shapes.text,
  apiKey: shapes.text,
  baseUrl: shapes.text,
  timeout: shapes.number,
  temperature: shapes.number,
  maxOutputTokens: shapes.count,
  reasoning: {
    fits: (value) =>
      isJsonObject(value) &&
      Object.entries(value).every(
        ([name, one]) => reasoningSettings.includes(name) && (one === undefined || shapes.text.fits(one)),
      ),
    words: "{ effort, summary }, each a text or left out",
  },
  store: shapes.flag,
  headers: { fits: areHeaders, words: "an object of header names and texts that a header can hold" },
} satisfies Record<keyof OpenAIResponsesOptions, Shape>;

/**
 * A model behind OpenAI's Responses API, or behind any server that speaks it.
 *
 * Connections are kept open between turns, for each instance apart: make one and use it for all agents.
 *
 * @throws {ConfigurationError} when there is no API key, or an option cannot work
 * @example
 * const agent = new Agent({ id: "helper", model: new OpenAIResponses({ id: "gpt-5.5" }) });
 * @example
 * const local = new OpenAIResponses({ id: "gpt-oss", baseUrl: "http://localhost:11434/v1", apiKey: "none" });
 */
export class OpenAIResponses implements Model {
  readonly id: string;
  readonly provider = "OpenAI";
  readonly name = "OpenAIResponses";
  readonly #settings: OpenAISettings;
  readonly #endpoint: OpenAIEndpoint;
  readonly #origin: string;
  readonly #path: string;
  readonly #headers: Record<string, string>;
  readonly #timeout: number;
  #connecting: Promise<Agent> | undefined;
  #dispatcher: Agent | undefined;

  constructor(options: OpenAIResponsesOptions = {}) {
    refuseUnknown("OpenAIResponses", options, Object.keys(wanted));
    refuseUnfit("OpenAIResponses", options, wanted);
    this.id = options.id || process.env.OPENAI_MODEL || defaultModel;
    const apiKey = usableKey(options.apiKey || process.env.OPENAI_API_KEY);
    const url = usableUrl(options.baseUrl || process.env.OPENAI_BASE_URL || defaultBaseUrl);
    const timeout = usableTimeout(options.timeout ?? defaultTimeout);
    this.#settings = {
      id: this.id,
      store: options.store ?? false,
      temperature: options.temperature,
      maxOutputTokens: options.maxOutputTokens,
      reasoning: options.reasoning,
    };
    this.#origin = url.origin;
    this.#path = `${url.pathname.replace(/\/+$/, "")}/responses${url.search}`;
    this.#endpoint = { url: `${url.origin}${url.pathname}`, apiKey, timeout };
    this.#headers = {
      authorization: `Bearer ${apiKey}`,
      "content-type": "application/json",
      "user-agent": "agentos-ts",
      ...options.headers,
    };
    this.#timeout = timeout * 1000;
  }

  /**
   * Asks for one turn.
   *
   * @throws {ModelError} when OpenAI refuses or fails, or cannot be reached
   * @throws the reason of `request.signal`, once that is aborted
   */
  generate(request: ModelRequest): AsyncIterable<ModelEvent | readonly ModelEvent[]> {
    return request.stream ? this.#streamed(request) : this.#whole(request);
  }

  /** Closes the connections, once the turns that go on have ended. No turn can be asked for afterwards. */
  async close(): Promise<void> {
    await (await this.#connect()).close();
  }

  #connect(): Promise<Agent> {
    this.#connecting ??= loadConnections().then(({ Agent }) => {
      this.#dispatcher = new Agent({
        headersTimeout: this.#timeout,
        bodyTimeout: this.#timeout,
        // Runs come in bursts, and a TLS handshake costs more than an idle socket.
        keepAliveTimeout: 30_000,
        // One stream a connection: a connection that breaks then ends one run, not all of them.
        allowH2: false,
        pipelining: 1,
      });
      return this.#dispatcher;
    });
    return this.#connecting;
  }

  async *#streamed(request: ModelRequest): AsyncGenerator<ModelEvent | readonly ModelEvent[]> {
    const { signal } = request;
    const exchange = this.#send(request, this.#dispatcher ?? (await this.#connect()));
    const parser = new SseParser();
    const reply = new StreamedReply();
    let end: ModelEvent | undefined;
    let begun = false;
    try {
      const head = await exchange.begun();
      if (!isSuccess(head)) throw await this.#refusal(head, exchange);
      begun = true;
      expectEventStream(head.headers["content-type"]);
      for (let bytes = await exchange.next(); bytes && !end; bytes = await exchange.next()) {
        // What came together is given together: each step of an async generator costs, and there is one per token.
        const events: ModelEvent[] = [];
        for (const message of parser.push(bytes)) {
          const event = reply.read(message);
          if (event?.type === "finish") end = event;
          else if (event) events.push(event);
          if (end) break;
        }
        if (events.length > 0) yield events;
        if (end) break;
        if (signal.aborted) throw signal.reason;
      }
    } catch (error) {
      throw signal.aborted ? signal.reason : brokenRequest(error, begun, this.#endpoint);
    } finally {
      // Whoever leaves early ends the request. After the last event the rest is read, so that the connection
      // serves the next turn.
      if (end) exchange.skipRest();
      else exchange.abandon();
    }
    if (!end) throw lostConnection();
    yield end;
  }

  async *#whole(request: ModelRequest): AsyncGenerator<readonly ModelEvent[]> {
    yield await this.#answer(request);
  }

  async #answer(request: ModelRequest): Promise<readonly ModelEvent[]> {
    const exchange = this.#send(request, this.#dispatcher ?? (await this.#connect()));
    let begun = false;
    let response: OpenAIResponse;
    try {
      const head = await exchange.begun();
      if (!isSuccess(head)) throw await this.#refusal(head, exchange);
      begun = true;
      response = JSON.parse(await exchange.text()) as OpenAIResponse;
    } catch (error) {
      const { signal } = request;
      throw signal.aborted ? signal.reason : brokenRequest(error, begun, this.#endpoint);
    }
    return wholeReply(response);
  }

  #send(request: ModelRequest, dispatcher: Agent): Exchange {
    request.signal.throwIfAborted();
    return new Exchange(
      dispatcher,
      {
        origin: this.#origin,
        path: this.#path,
        method: "POST",
        headers: this.#headers,
        body: JSON.stringify(openaiRequest(request, this.#settings)),
      },
      request.signal,
    );
  }

  async #refusal({ status, headers }: AnswerHead, exchange: Exchange): Promise<ModelError> {
    // A refusal whose text is cut off is still that refusal.
    const text = await exchange.text().catch(() => "");
    return refusedRequest(status, headers, text, this.#endpoint);
  }
}

function isSuccess({ status }: AnswerHead): boolean {
  return status >= 200 && status < 300;
}

function areHeaders(value: unknown): boolean {
  return (
    isJsonObject(value) &&
    Object.entries(value).every(
      ([name, text]) =>
        /^[\w!#$%&'*+.^`|~-]+$/.test(name) &&
        typeof text === "string" &&
        /^[\t\x20-\x7e\x80-\xff]*$/.test(text),
    )
  );
}

function usableKey(key: string | undefined): string {
  const trimmed = key?.trim();
  if (!trimmed)
    throw new ConfigurationError(
      "OpenAIResponses needs an API key: set OPENAI_API_KEY or pass apiKey. For a server that takes none, pass any text.",
    );
  if (/[^\x21-\x7e]/.test(trimmed))
    throw new ConfigurationError(
      "The API key for OpenAIResponses has characters that no key has. Check OPENAI_API_KEY.",
    );
  return trimmed;
}

function usableUrl(baseUrl: string): URL {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  if (!url || !["http:", "https:"].includes(url.protocol))
    throw new ConfigurationError(
      `The base URL for OpenAIResponses must be an http or https URL, such as ${defaultBaseUrl}. Check OPENAI_BASE_URL.`,
    );
  return url;
}

function usableTimeout(seconds: number): number {
  if (!(seconds > 0 && Number.isFinite(seconds)))
    throw new ConfigurationError("The timeout of OpenAIResponses must be a number of seconds above 0.");
  return seconds;
}

/** A web page or an error in JSON with status 200 would otherwise look like a lost connection, tried again in vain. */
function expectEventStream(contentType: string | string[] | undefined): void {
  const type = String(contentType ?? "");
  if (type === "" || type.includes("text/event-stream")) return;
  throw new ModelError(
    `OpenAI answered ${type.split(";")[0]} instead of an event stream. Check OPENAI_BASE_URL.`,
  );
}
