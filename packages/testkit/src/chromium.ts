import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { Browser } from 'playwright-core';
import type { Environment } from './broker-source.ts';
import { installAdvice } from './tool.ts';

/** As Debian, other Linuxes, and Google's own packages call it. */
const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const macPrograms = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];

/** Without network requests or windows of its own. Playwright adds `--headless` and an empty profile. */
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * Returns the path of Chromium or Chrome: `TAILRACE_CHROMIUM`, else from the PATH, else from the folder of macOS, else
 * the one of `playwright-core install`. Rejects with `invalid_config` for a variable that names no program, and with
 * `unavailable` and what to install.
 */
export async function findChromium(env: Environment = process.env): Promise<string> {
  const chosen = env['TAILRACE_CHROMIUM'];
  if (chosen) {
    if (await isProgram(chosen)) return chosen;
    throw new TailraceError(
      'invalid_config',
      `TAILRACE_CHROMIUM: expected the path of Chromium or Chrome, got ${shown(chosen)}, which is no program`,
    );
  }
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const candidates = [...folders.flatMap((folder) => names.map((name) => join(folder, name))), ...macPrograms];
  for (const candidate of candidates) {
    if (await isProgram(candidate)) return candidate;
  }
  const { chromium } = await import('playwright-core');
  const ofPlaywright = chromium.executablePath();
  if (await isProgram(ofPlaywright)) return ofPlaywright;
  throw new TailraceError(
    'unavailable',
    `no Chromium and no Chrome on the PATH to test pages with. ${installAdvice('chromium')}; or set TAILRACE_CHROMIUM to the path of one.`,
    { retryable: false },
  );
}

/**
 * Starts a browser without a window, with a new profile. The caller closes it; it exits with this process in any case.
 */
export async function launchChromium(env: Environment = process.env): Promise<Browser> {
  const executablePath = await findChromium(env);
  const { chromium } = await import('playwright-core');
  return await chromium.launch({ executablePath, args: flags, headless: true });
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
