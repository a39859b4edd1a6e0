import { serve } from "@hono/node-server";
import { Hono } from "hono";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { startProgram, urlOf } from "../start/program.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { chromiumPath, openPage, startBrowser } from "./browser.ts";

/** The pages that people see, in a real browser without internet. */
describe.skipIf(chromiumPath === undefined)("in a browser without internet", () => {
  let browser: Browser;
  let server: TestServer;

  beforeAll(async () => {
    browser = await startBrowser();
    server = await startServer();
  });
  afterAll(async () => {
    await server.close();
    await browser.close();
  });

  /** Opens the form of the run endpoint, sends what is given, and gives the answer as the page shows it. */
  async function tryItOut(page: Page, body: object): Promise<{ status: string; answer: string }> {
    const operation = page.locator(".opblock", {
      has: page.locator('[data-path="/agents/{agent_id}/runs"]'),
    });
    const post = operation.and(page.locator(".opblock-post"));
    await post.locator(".opblock-summary-control").click();
    await post.locator('[data-param-name="agent_id"] input').fill("copilot");
    await post.locator(".body-param__text").fill(JSON.stringify(body));
    await post.locator("button.execute").click();
    const live = post.locator(".live-responses-table .response");
    return {
      status: (await live.locator(".response-col_status").first().textContent()) ?? "",
      answer: (await live.locator(".response-col_description").first().textContent()) ?? "",
    };
  }

  test("/docs lists every endpoint, and nothing goes wrong in it", async () => {
    const { page, faults } = await openPage(browser, `${server.url}/docs`);
    await page.locator(".opblock").first().waitFor();
    const listed = await page
      .locator("[data-path]")
      .evaluateAll((found) => found.map((one) => one.getAttribute("data-path")));
    const { paths } = await (await fetch(`${server.url}/openapi.json`)).json();
    expect(new Set(listed)).toEqual(new Set(Object.keys(paths)));
    expect(listed).toContain("/agents/{agent_id}/runs");
    expect(faults).toEqual([]);
  });

  test("/docs runs an agent", async () => {
    const { page, faults } = await openPage(browser, `${server.url}/docs`);
    const { status, answer } = await tryItOut(page, { message: "Hello from the docs", stream: false });
    expect(status).toContain("200");
    expect(answer).toContain("You said: Hello from the docs");
    expect(faults).toEqual([]);
  });

  test("/docs runs an agent of an app that is mounted in another", async () => {
    const host = new Hono();
    host.mount("/agentos", server.os.getApp().fetch);
    const url = await new Promise<string>((resolve) => {
      const listening = serve({ fetch: host.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }) =>
        resolve(`http://127.0.0.1:${port}`),
      );
      onTestFinished(() => void listening.close());
    });
    const { page, faults } = await openPage(browser, `${url}/agentos/docs`);
    const { status, answer } = await tryItOut(page, { message: "Hello from within", stream: false });
    expect(status).toContain("200");
    expect(answer).toContain("You said: Hello from within");
    expect(faults).toEqual([]);
  });

  test("the widget of the examples shows the answer as it comes", async () => {
    const url = await urlOf(await startProgram("examples/custom-routes.ts"));
    const { page, faults } = await openPage(browser, `${url}/widget`);
    await page.getByPlaceholder("Ask the copilot").fill("Hello from the widget");
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByText("You said: Hello from the widget").waitFor();
    expect(faults).toEqual([]);
  });
});
