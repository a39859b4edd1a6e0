import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { Agent, AgentOS, EchoModel } from "agentos-ts";
import { Hono } from "hono";
import { describe, expect, test } from "vitest";
import { outline, readEvents } from "../support/read-events.ts";

type App = ReturnType<AgentOS["getApp"]>;

/** A host's own app with AgentOS under a path of it. */
function hostOf(mount: (host: Hono, app: App) => void): { host: Hono; os: AgentOS } {
  const os = new AgentOS({ agents: [new Agent({ id: "copilot", model: new EchoModel() })] });
  const host = new Hono();
  host.get("/", (c) => c.text("the host's page"));
  mount(host, os.getApp());
  return { host, os };
}

const post = (body: object) => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});

describe.each([
  ["route", (host: Hono, app: App) => host.route("/agentos", app)],
  ["mount", (host: Hono, app: App) => host.mount("/agentos", app.fetch)],
] as const)("under a path of a host app by %s", (_, mount) => {
  test("a run is answered and can be read again", async () => {
    const { host, os } = hostOf(mount);
    const answer = await host.request("/agentos/agents/copilot/runs", post({ message: "hi", stream: false }));
    expect(answer.status).toBe(200);
    const run = await answer.json();
    expect(run.content).toContain("hi");
    const again = await host.request(`/agentos/agents/copilot/runs/${run.run_id}`);
    expect(await again.json()).toMatchObject({ run_id: run.run_id, content: run.content });
    await os.close();
  });

  test("a run is streamed", async () => {
    const { host, os } = hostOf(mount);
    const answer = await host.request("/agentos/agents/copilot/runs", post({ message: "hi" }));
    expect(outline(await readEvents(answer)).at(-1)).toBe("RunCompleted");
    await os.close();
  });

  test("the OpenAPI document says where its paths are", async () => {
    const { host, os } = hostOf(mount);
    const at = "http://localhost/agentos/openapi.json";
    const document = await (await host.request(at)).json();
    const base = new URL(document.servers[0].url, at).pathname.replace(/\/$/, "");
    expect(base).toBe("/agentos");
    expect((await host.request(`${base}/health`)).status).toBe(200);
    await os.close();
  });

  test("the docs page and what it loads are there", async () => {
    const { host, os } = hostOf(mount);
    const at = "http://localhost/agentos/docs";
    const page = await (await host.request(at)).text();
    const links = [...page.matchAll(/(?:src|href|url)[=:] ?"([^"]+)"/g)].map(([, link]) => link ?? "");
    const own = links.filter((link) => !link.startsWith("data:"));
    expect(own.length).toBeGreaterThan(2);
    for (const link of own) {
      expect([link, (await host.request(new URL(link, at).href)).status]).toEqual([link, 200]);
    }
    await os.close();
  });

  test("the link to the next page of a list leads there", async () => {
    const { host, os } = hostOf(mount);
    for (const message of ["one", "two"]) {
      await host.request("/agentos/agents/copilot/runs", post({ message, session_id: "s", stream: false }));
    }
    const at = "http://localhost/agentos/agents/copilot/runs?session_id=s&limit=1";
    const link = (await host.request(at)).headers.get("link") ?? "";
    const next = new URL(/^<([^>]+)>; rel="next"$/.exec(link)?.[1] ?? "", at);
    const page = await host.request(next.href);
    expect(await page.json()).toMatchObject([{ run_input: "one" }]);
    await os.close();
  });

  test("a known path under another method is 405 and names what is taken", async () => {
    const { host, os } = hostOf(mount);
    for (const [method, path, allow] of [
      ["PUT", "/agentos/agents/copilot/runs", "GET, POST"],
      ["DELETE", "/agentos/agents", "GET"],
      ["POST", "/agentos/media/m", "GET"],
      ["POST", "/agentos/", "GET"],
    ] as const) {
      const headers = { origin: "http://localhost:3000" };
      const answer = await host.request(path, { method, headers });
      expect([path, answer.status, answer.headers.get("allow")]).toEqual([path, 405, allow]);
      expect(answer.headers.get("content-type")).toContain("application/json");
      expect(answer.headers.get("access-control-allow-origin")).toBe("http://localhost:3000");
      const { detail, request_id } = await answer.json();
      expect(detail).toContain(method);
      expect(request_id).toBe(answer.headers.get("x-request-id"));
    }
    await os.close();
  });

  test("a custom route wins over the refusal of its method, and may answer 404 by itself", async () => {
    const { host, os } = hostOf((host, app) => {
      app.put("/agents", (c) => c.text("put"));
      app.patch("/agents", (c) => c.text("no such agent", 404));
      mount(host, app);
    });
    expect(await (await host.request("/agentos/agents", { method: "PUT" })).text()).toBe("put");
    const own = await host.request("/agentos/agents", { method: "PATCH" });
    expect([own.status, await own.text()]).toEqual([404, "no such agent"]);
    await os.close();
  });

  test("errors are answered in the shape of this server, and the host's routes stay its own", async () => {
    const { host, os } = hostOf(mount);
    const unknown = await host.request("/agentos/agents/nobody");
    expect(unknown.status).toBe(404);
    expect(await unknown.json()).toMatchObject({ detail: "Agent not found", request_id: expect.any(String) });
    expect((await host.request("/agentos/agents/copilot/runs", post({}))).status).toBe(422);
    expect(await (await host.request("/")).text()).toBe("the host's page");
    await os.close();
  });
});

test.each([
  ["by route", (host: Hono, app: App) => host.route("/agentos", app)],
  ["by route, under a path with a parameter", (host: Hono, app: App) => host.route("/:tenant", app)],
  ["by mount", (host: Hono, app: App) => host.mount("/agentos", app.fetch)],
  ["in itself", (host: Hono, app: App) => host.route("/", app)],
] as const)("%s, the files of a run are where its answers say", async (how, mount) => {
  const { host, os } = hostOf(mount);
  const server = createAdaptorServer({ fetch: host.fetch });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const base = how === "in itself" ? "" : how.includes("parameter") ? "/acm%C3%A9%25" : "/agentos";
  const ask = async (path: string, init?: RequestInit) => (await fetch(origin + base + path, init)).json();
  const body = new FormData();
  for (const [name, value] of Object.entries({ message: "look", stream: "false", session_id: "s" }))
    body.set(name, value);
  body.set("files", new Blob(["a file"], { type: "text/plain" }), "a.txt");
  const run = await ask("/agents/copilot/runs", { method: "POST", body });
  const again = await ask(`/agents/copilot/runs/${run.run_id}`);
  const [listed] = await ask("/sessions/s/runs");
  const session = await ask("/sessions/s");
  const fork = await ask("/agents/copilot/sessions/s/fork", { method: "POST" });
  const [copied] = await ask(`/sessions/${fork.session_id}/runs`);
  for (const [file] of [
    run.input.files,
    run.messages[0].files,
    again.input.files,
    listed.input_media.files,
    session.chat_history[0].files,
    copied.input_media.files,
  ]) {
    expect(file.url).toBe(`${base}/media/${file.id}`);
    expect(await (await fetch(new URL(file.url, origin))).text()).toBe("a file");
  }
  await new Promise((resolve) => server.close(resolve));
  await os.close();
});

test("by route, an unknown path is the host's to answer; by mount, it is ours", async () => {
  const byRoute = hostOf((host, app) => {
    host.route("/agentos", app);
    host.notFound((c) => c.text("the host's 404", 404));
  });
  const theirs = await byRoute.host.request("/agentos/nothing");
  expect([theirs.status, await theirs.text()]).toEqual([404, "the host's 404"]);
  await byRoute.os.close();

  const byMount = hostOf((host, app) => host.mount("/agentos", app.fetch));
  const ours = await byMount.host.request("/agentos/nothing");
  expect([ours.status, await ours.json()]).toMatchObject([404, { request_id: expect.any(String) }]);
  await byMount.os.close();
});

test("by route, a page of the host under the same path stays its own, whatever the method", async () => {
  const { host, os } = hostOf((host, app) => {
    host.route("/:tenant/agentos", app);
    host.put("/:tenant/agentos/agents", (c) => c.text("the host's put"));
    host.post("/:tenant/agentos/agents", (c) => c.text("the host's 404", 404));
  });
  expect((await host.request("/acme/agentos/agents")).status).toBe(200);
  expect(await (await host.request("/acme/agentos/agents", { method: "PUT" })).text()).toBe("the host's put");
  const post = await host.request("/acme/agentos/agents", { method: "POST" });
  expect(await post.text()).toBe("the host's 404");
  expect((await host.request("/acme/agentos/agents", { method: "DELETE" })).status).toBe(405);
  await os.close();
});
