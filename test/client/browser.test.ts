import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { AgentOSClient } from "agentos-ts/client";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { chromiumPath, startBrowser } from "../docs/browser.ts";
import { bundleClient } from "../support/client-bundle.ts";
import { seeded, startCuttingProxy } from "../support/cutting-proxy.ts";
import { startServer, type TestServer } from "../support/server.ts";

/** The client as pages use it: in a real browser, from another origin than the server's, over a network that fails. */

type AskCopilot = (
  message: string,
  userId: string,
  threadId: string,
  onText: (text: string) => void,
) => Promise<void>;

interface OpenedPage {
  page: Page;
  /** What went wrong in it. */
  faults: string[];
}

/** What a page of these tests has. */
declare global {
  var client: AgentOSClient;
  var askCopilot: AskCopilot;
}

describe.skipIf(chromiumPath === undefined)("in a browser", { timeout: 90_000 }, () => {
  let browser: Browser;
  let server: TestServer;
  let code: string;

  beforeAll(async () => {
    [browser, server, { code }] = await Promise.all([startBrowser(), startServer(), bundleClient()]);
  });
  afterAll(async () => {
    await server.close();
    await browser.close();
  });

  /** A page of an origin of its own that runs a script. `agentos-ts/client` is there to import. */
  async function openPage(script: string, atEnd: typeof onTestFinished): Promise<OpenedPage> {
    const imports = JSON.stringify({ imports: { "agentos-ts/client": "/client.js" } });
    const html = `<!doctype html><link rel="icon" href="data:,">
      <script type="importmap">${imports}</script><script type="module">${script}</script>`;
    const site = createServer(({ url }, response) => {
      const isClient = url === "/client.js";
      response.writeHead(200, { "content-type": isClient ? "text/javascript" : "text/html; charset=utf-8" });
      response.end(isClient ? code : html);
    });
    await new Promise<void>((resolve) => void site.listen(0, "127.0.0.1", resolve));
    const page = await browser.newPage();
    const faults: string[] = [];
    page.on("pageerror", (error) => faults.push(String(error)));
    atEnd(async () => {
      await page.close();
      site.closeAllConnections();
      site.close();
    });
    await page.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}`);
    return { page, faults };
  }

  const pageWithClient = (url: string, atEnd = onTestFinished) =>
    openPage(
      `import { AgentOSClient } from "agentos-ts/client";
      globalThis.client = new AgentOSClient({ baseUrl: "${url}" });`,
      atEnd,
    );

  const words = (count: number) => Array.from({ length: count }, (_, i) => `word${i} `).join("");

  test.concurrent.for([1, 2])(
    "the README's widget shows each piece once, however often the network is cut (seed %i)",
    async (seed, { onTestFinished }) => {
      const random = seeded(seed);
      const proxy = await startCuttingProxy(server.url, () => Math.floor(random() * 24_000));
      onTestFinished(() => proxy.close());
      const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
      const widget = /```js\n(import [^`]*askCopilot[^`]*)```/.exec(readme)?.[1];
      const script = `${widget?.replace("http://localhost:7777", proxy.url)}\nglobalThis.askCopilot = askCopilot;`;
      const { page, faults } = await openPage(script, onTestFinished);
      const asked = [
        { tokens: 150, delay: 10 },
        { tokens: 80, delay: 30 },
        { tokens: 300, delay: 0 },
      ];
      const shown = await page.evaluate(
        (all) =>
          Promise.all(
            all.map(async ({ tokens, delay }, i) => {
              let text = "";
              await askCopilot(
                `[[tokens=${tokens}]] [[delay=${delay}]]`,
                "sarah@acme.com",
                `t-${i}`,
                (piece) => {
                  text += piece;
                },
              );
              return text;
            }),
          ),
        asked,
      );
      expect(shown).toEqual(asked.map(({ tokens }) => words(tokens)));
      expect(faults).toEqual([]);
      expect(proxy.cuts).toBeGreaterThan(2);
    },
  );

  test.concurrent.for([
    ["cancelled", "cancelled"],
    ["aborted, and its run goes on", "running"],
  ] as const)("a stream that was taken up again can be %s", async ([, status], { onTestFinished }) => {
    let connections = 0;
    const proxy = await startCuttingProxy(server.url, () => (connections++ === 0 ? 6000 : 1e9));
    onTestFinished(() => proxy.close());
    const { page } = await pageWithClient(proxy.url, onTestFinished);
    const { ending, gapless } = await page.evaluate(async (mode) => {
      const aborted = new AbortController();
      const stream = client.agents.stream("copilot", "[[tokens=1000]] [[delay=20]]", {
        sessionId: mode,
        signal: aborted.signal,
      });
      let ending = "";
      const indexes: number[] = [];
      try {
        for await (const { event, event_index } of stream) {
          ending = event;
          indexes.push(event_index);
          if (event_index !== 60) continue;
          if (mode === "cancelled") await stream.cancel();
          else aborted.abort();
        }
      } catch (error) {
        ending = (error as Error).name;
      }
      return { ending, gapless: indexes.every((index, i) => index === i) };
    }, status);
    expect(ending).toBe(status === "cancelled" ? "RunCancelled" : "AbortError");
    expect(gapless).toBe(true);
    expect(proxy.cuts).toBe(1);
    const runs = await (await fetch(`${server.url}/agents/copilot/runs?session_id=${status}`)).json();
    expect(runs).toMatchObject([{ status }]);
  });

  test("answers, errors, files and lists reach a page of another origin", async () => {
    const { page, faults } = await pageWithClient(server.url);
    const got = await page.evaluate(async () => {
      const note = new File(["notes"], "notes.txt", { type: "text/plain" });
      const run = await client.agents.run("copilot", "hi", { sessionId: "s", userId: "ada", files: [note] });
      await client.agents.run("copilot", "again", { sessionId: "s", userId: "ada" });
      const { nextCursor } = await client.runs.list("copilot", "s", { limit: 1 });
      return {
        status: run.status,
        file: await (await client.media.get(run.input.files?.[0]?.id ?? "")).text(),
        leadsOn: nextCursor !== undefined,
        missing: await client.sessions.get("none").catch(({ name, status }) => ({ name, status })),
      };
    });
    expect(got).toEqual({
      status: "completed",
      file: "notes",
      leadsOn: true,
      missing: { name: "ApiError", status: 404 },
    });
    // What is not there is a line in the console, and no fault of the page.
    expect(faults).toEqual([]);
  });

  test("a plain fetch of a run with a token gives the stream of events", async () => {
    const { page, faults } = await openPage(
      `
      const jwt = "e30.e30.x";
      globalThis.askCopilot = async function askCopilot(message, userId, threadId) {
        const res = await fetch("${server.url}/agents/copilot/runs", {
          method: "POST",
          headers: {
            "Content-Type": "application/json",
            "Authorization": \`Bearer \${jwt}\`,
          },
          body: JSON.stringify({
            message,
            user_id: userId,
            session_id: threadId,
            stream: true,
          }),
        });
        return res.body; // SSE stream into the UI
      }`,
      onTestFinished,
    );
    const text = await page.evaluate(async () => {
      const ask = askCopilot as unknown as (...fields: string[]) => Promise<ReadableStream<Uint8Array>>;
      return new Response(await ask("Summarize this thread", "sarah@acme.com", "thread-42")).text();
    });
    expect(text).toContain('"content":"You "');
    expect(text).toContain("event: RunCompleted");
    expect(faults).toEqual([]);
  });
});
