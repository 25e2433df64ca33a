import chromium from "@sparticuz/chromium";
import { chromium as playwright, type Browser, type Route } from "playwright-core";

/**
 * A Chromium that came with `npm ci`. Without the flags its package recommends: they are for Lambda, and one
 * process for everything dies with the first page, while web security switched off would prove nothing.
 */
export async function launchBrowser(): Promise<Browser> {
  return playwright.launch({ executablePath: await chromium.executablePath() });
}

/**
 * Meets the first request in this way and lets the others pass. Not by `times`, which switches interception off while
 * the page's next request may be on its way, and that one is then never answered.
 */
export function atFirst(meet: (route: Route) => Promise<void>) {
  let met = false;
  return (route: Route) => {
    if (met) return route.continue();
    met = true;
    return meet(route);
  };
}
