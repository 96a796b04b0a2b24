import exec from 'k6/execution';
import type { Options } from 'k6/options';
import { sendCommands } from '../lib/commands.ts';
import { settingsFrom } from '../lib/settings.ts';
import { isGeneratorLate, type SummaryData, summaryOf, textOf } from '../lib/summary.ts';
import { tokenFor } from '../lib/token.ts';

/**
 * Commands by HTTP to devices that execute them, and watchers of their states: each command has one final state at each
 * watcher. CONTROL is the URL of control, COMMAND_DEVICES the devices, COMMAND_TAG the tag that is written.
 */
const name = 'control';
const settings = settingsFrom(__ENV, { CLIENTS: 4, RATE: 50, VUS: 1, SLO_LATENCY_MS: 500, duration: '10s' });
const control = (__ENV['CONTROL'] ?? '').replace(/\/+$/, '');
const devices = (__ENV['COMMAND_DEVICES'] || 'plant1.line2.press1,plant1.line2.press2').split(',');
const tag = __ENV['COMMAND_TAG'] || 'stroke_rate_setpoint';
const marginMs = 30_000;
if (!/^https?:\/\/[^/]+/.test(control))
  throw new Error(`CONTROL: expected a URL such as http://localhost:8085, got ${control || 'none'}`);

export const options: Options = {
  scenarios: {
    command: {
      executor: 'shared-iterations',
      exec: 'commander',
      vus: settings.vus,
      iterations: settings.vus,
      maxDuration: `${Math.ceil((settings.durationMs + settings.graceMs + marginMs) / 1000)}s`,
    },
  },
  thresholds: {
    tailrace_wrong_finals: ['count==0'],
    tailrace_commands_not_done: ['count==0'],
    tailrace_refused_commands: ['count==0'],
    tailrace_command_done: [`p(99)<${settings.sloLatencyMs}`],
  },
  systemTags: ['name', 'status', 'error'],
  summaryTrendStats: ['avg', 'min', 'med', 'p(95)', 'p(99)', 'max', 'count'],
};

export function commander(): Promise<void> {
  const { targets, clients, rate, vus, durationMs, graceMs } = settings;
  const ratePerSecond = rate / vus;
  const watchers = Math.max(1, Math.floor(clients / vus));
  const token = tokenFor(settings, Date.now());
  const load = { targets, control, token, devices, tag, watchers, ratePerSecond, durationMs, graceMs };
  return sendCommands(load, exec.scenario.iterationInTest);
}

export function handleSummary(data: SummaryData): Record<string, string> {
  const { clients, rate, durationMs } = settings;
  const load = { CLIENTS: clients, RATE: rate, DURATION: `${durationMs / 1000}s`, COMMAND_DEVICES: devices.length };
  const summary = summaryOf(data, {
    scenario: name,
    what: 'commands: does each have one final state?',
    settings: load,
  });
  const text = textOf(summary, isGeneratorLate(data));
  const { summary: folder } = settings;
  const json = `${JSON.stringify({ ...summary, metrics: data.metrics }, undefined, 2)}\n`;
  return folder === '' ? { stdout: text } : { stdout: text, [`${folder}/${name}.json`]: json };
}
