import { existsSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";

const places = [
  process.env["CHROMIUM_PATH"],
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/usr/bin/google-chrome-stable",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** Where a Chromium is on this machine. */
export const chromiumPath = places.find((path) => path !== undefined && path !== "" && existsSync(path));

if (chromiumPath === undefined) {
  console.warn(
    "SKIPPED: no browser. The tests of /docs and of the widget need Chromium: `apt-get install chromium`, or set CHROMIUM_PATH.",
  );
}

export function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath ?? "",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** A page for which there is no internet, only one server, and what went wrong in it. */
export async function openPage(browser: Browser, url: string): Promise<{ page: Page; faults: string[] }> {
  const page = await browser.newPage();
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(message.text());
  });
  await page.route("**", (route) => {
    const asked = route.request().url();
    if (asked.startsWith(`${new URL(url).origin}/`)) return route.continue();
    faults.push(`asked for ${asked}`);
    return route.abort();
  });
  await page.goto(url);
  return { page, faults };
}
