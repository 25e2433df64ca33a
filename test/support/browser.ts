import chromium from "@sparticuz/chromium";
import { chromium as playwright, type Browser } from "playwright-core";

/**
 * A Chromium that came with `npm ci`. Without the flags its package recommends: they are for Lambda, and one
 * process for everything dies with the first page, while web security switched off would prove nothing.
 */
export async function launchBrowser(): Promise<Browser> {
  return playwright.launch({ executablePath: await chromium.executablePath() });
}
