import { AgentOSClient, ApiError, type ClientOptions } from "agentos-ts/client";
import { describe, expect, test } from "vitest";
import {
  cut,
  frame,
  json,
  type SeenRequest,
  startScriptedServer,
  stream,
} from "../support/scripted-server.ts";

/** What every request does: tokens, tries, errors. */

const clientOf = (baseUrl: string, options: Partial<ClientOptions> = {}) =>
  new AgentOSClient({ baseUrl, retryDelay: 0.01, ...options });

const fine = json(200, []);
const refused = json(401, { detail: "Token has expired", request_id: "r1" });
const sent = ({ headers }: SeenRequest) => headers.authorization;

/** Gives the numbers from 1 as tokens. */
function counter(): { count: number; token: () => string } {
  const counted = { count: 0, token: () => String(++counted.count) };
  return counted;
}

/** A JSON Web Token that ends so many seconds from now. */
function tokenFor(seconds: number, name: string): string {
  const claims = { exp: Math.floor(Date.now() / 1000) + seconds, name };
  return `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`;
}

describe("the token", () => {
  test("is sent with every request, from a text or a function that is asked once", async () => {
    const { url, requests } = await startScriptedServer([fine, fine, fine]);
    await clientOf(url, { token: "secret" }).agents.list();
    const counted = counter();
    const client = clientOf(url, { token: async () => counted.token() });
    await Promise.all([client.agents.list(), client.agents.list()]);
    expect(requests.map(sent)).toEqual(["Bearer secret", "Bearer 1", "Bearer 1"]);
  });

  test("is asked for once more when it is refused, and not twice", async () => {
    const { url, requests } = await startScriptedServer([refused, fine, refused, refused]);
    const client = clientOf(url, { token: counter().token });
    await client.agents.list();
    await expect(client.agents.list()).rejects.toMatchObject({ status: 401, requestId: "r1" });
    expect(requests.map(sent)).toEqual(["Bearer 1", "Bearer 2", "Bearer 2", "Bearer 3"]);
  });

  test("that is a text and refused is an error at once", async () => {
    const { url, requests } = await startScriptedServer([refused]);
    await expect(clientOf(url, { token: "old" }).agents.list()).rejects.toMatchObject({
      status: 401,
      detail: "Token has expired",
    });
    expect(requests).toHaveLength(1);
  });

  test("of several requests that are refused at once is asked for once", async () => {
    const asked = counter();
    const byToken = (response: Parameters<typeof fine>[0], request: Parameters<typeof fine>[1]) =>
      (sent(request) === "Bearer 1" ? refused : fine)(response, request);
    const { url } = await startScriptedServer(Array(6).fill(byToken));
    const client = clientOf(url, { token: asked.token });
    await Promise.all([client.agents.list(), client.agents.list(), client.agents.list()]);
    expect(asked.count).toBe(2);
  });

  test("that has expired by its own word is not sent", async () => {
    const { url, requests } = await startScriptedServer([fine, fine, fine]);
    const tokens = [tokenFor(5, "first"), tokenFor(3600, "second")];
    const client = clientOf(url, { token: () => tokens.shift() ?? "none is left" });
    const second = tokens[1];
    await client.agents.list();
    await client.agents.list();
    await client.agents.list();
    expect(requests.slice(1).map(sent)).toEqual([`Bearer ${second}`, `Bearer ${second}`]);
  });

  test("is asked for at each reconnect of a stream, and when a stream is refused", async () => {
    const { url, requests } = await startScriptedServer([
      stream([frame(0)], true),
      stream([frame(1)]),
      refused,
      stream([frame(2, "RunCompleted")]),
    ]);
    const client = clientOf(url, { token: counter().token });
    for await (const _ of client.agents.stream("copilot", "hi"));
    expect(requests.map(sent)).toEqual(["Bearer 1", "Bearer 2", "Bearer 3", "Bearer 4"]);
  });

  test("that cannot be got for a while does not end a stream that has begun", async () => {
    const { url, requests } = await startScriptedServer([
      stream([frame(0)], true),
      stream([frame(1, "RunCompleted")]),
    ]);
    const tokens = ["first", undefined, undefined, "second"];
    const client = clientOf(url, {
      token: async () => tokens.shift() ?? Promise.reject(new TypeError("fetch failed")),
    });
    for await (const _ of client.agents.stream("copilot", "hi"));
    expect(requests.map(sent)).toEqual(["Bearer first", "Bearer second"]);
  });

  test("a function that fails is asked again with the next request", async () => {
    const { url } = await startScriptedServer([fine]);
    let isAway = true;
    const client = clientOf(url, {
      token: async () => {
        if (isAway) throw new Error("the issuer is away");
        return "fresh";
      },
    });
    await expect(client.agents.list()).rejects.toMatchObject({
      code: "token",
      message: "No token could be got: the issuer is away",
      cause: expect.any(Error),
    });
    isAway = false;
    expect(await client.agents.list()).toEqual([]);
  });
});

describe("a request that failed", () => {
  test("is sent again where that is safe, as often as the options say", async () => {
    const failing = json(503, { detail: "stopping" });
    const { url, requests } = await startScriptedServer([failing, cut, fine, failing, failing]);
    expect(await clientOf(url).agents.list()).toEqual([]);
    await expect(clientOf(url, { retries: 1 }).sessions.delete("s")).rejects.toMatchObject({ status: 503 });
    expect(requests).toHaveLength(5);
  });

  test("is not sent again where it may have happened", async () => {
    const { url, requests } = await startScriptedServer([cut, cut]);
    const client = clientOf(url);
    await expect(client.sessions.create()).rejects.toMatchObject({ code: "connection" });
    await expect(client.memories.create("Likes tea")).rejects.toMatchObject({ code: "connection" });
    expect(requests).toHaveLength(2);
  });

  test("and whose answer was cut in its middle is sent again", async () => {
    const { url } = await startScriptedServer([
      (response) => {
        response.writeHead(200, { "content-type": "application/json", "content-length": "100" });
        response.write('[{"id":', () => response.destroy());
      },
      fine,
    ]);
    expect(await clientOf(url).agents.list()).toEqual([]);
  });

  test.each(["<h1>Bad Gateway</h1>", '{"detail":{"no":"text"}}', "null"])(
    "tells what a proxy said: %s",
    async (said) => {
      const page: Parameters<typeof startScriptedServer>[0][number] = (response) =>
        void response.writeHead(502).end(said);
      const { url } = await startScriptedServer([page]);
      const error = await clientOf(url, { retries: 0 })
        .agents.list()
        .catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(ApiError);
      expect(error).toMatchObject({ status: 502, detail: said, requestId: undefined });
    },
  );

  test("is given up at once when its signal is aborted", async () => {
    const { url } = await startScriptedServer([() => undefined]);
    await expect(clientOf(url).agents.list({ signal: AbortSignal.timeout(50) })).rejects.toMatchObject({
      name: "TimeoutError",
    });
  });
});

describe("what cannot work is refused before anything is sent", () => {
  test.each([
    [{ baseUrl: "os.yourproduct.com" }, "baseUrl"],
    [{ baseUrl: "ftp://os.yourproduct.com" }, "baseUrl"],
    [{ baseUrl: "http://a", retries: 1.5 }, "retries"],
    [{ baseUrl: "http://a", retryDelay: -1 }, "retryDelay"],
    [{ baseUrl: "http://a", colour: "red" }, "colour"],
    [{ baseUrl: "http://a", token: 7 }, "token"],
  ])("option %j", (options, name) => {
    expect(() => new AgentOSClient(options as unknown as ClientOptions)).toThrow(name);
  });

  test.each(["", ".", "..", "\ud800"])("the id %j, which no path can hold", async (id) => {
    const { url, requests } = await startScriptedServer([fine]);
    await expect(clientOf(url).sessions.delete(id)).rejects.toMatchObject({ code: "client_option" });
    expect(requests).toEqual([]);
  });
});

test("ids and fields go out as they are, whatever they hold, under the path of the base", async () => {
  const { url, requests } = await startScriptedServer([fine, fine]);
  const client = clientOf(`${url}/agentos/`, { headers: { "x-team": "growth" } });
  await client.sessions.get("a/b?c=d#e ü", { userId: "sarah+x@acme.com" });
  await client.memories.list({ topics: ["a,b", "c"], searchContent: "tea & co", limit: 5 });
  expect(requests.map(({ url }) => url)).toEqual([
    "/agentos/sessions/a%2Fb%3Fc%3Dd%23e%20%C3%BC?user_id=sarah%2Bx%40acme.com",
    "/agentos/memories?topics=a%2Cb&topics=c&search_content=tea+%26+co&limit=5",
  ]);
  expect(requests[0]!.headers["x-team"]).toBe("growth");
});
