import { shown, TailraceError } from '@tailrace/protocol/error';
import { isDevicePath } from '@tailrace/protocol/path';
import { type Protocol, protocols } from './device-load.ts';

/** Settings of the load of devices, from the environment: the same names as those of the k6 scenarios. */
export interface DeviceSettings {
  readonly protocol: Protocol;
  /** URL of the protocol at ingest. */
  readonly ingest: string;
  /** URLs of fanout; empty: what is delivered is not checked. */
  readonly targets: readonly string[];
  readonly token: string;
  /** Path of all devices of the run. */
  readonly path: string;
  readonly devices: number;
  /** Reports a second, of all devices together. */
  readonly rate: number;
  readonly seconds: number;
  readonly readings: number;
  readonly processes: number;
  readonly graceMs: number;
  /** The p99 from a report's time to its acknowledgment, ms. */
  readonly sloAckMs: number;
}

/** Devices of a process: below the limit of 20,000 open files. */
const devicesOfProcess = 10_000;

const numbers = {
  DEVICES: [100, 1, 1_000_000],
  RATE: [100, 1, 1_000_000],
  READINGS: [1, 1, 100],
  PROCESSES: [0, 0, 100],
  GRACE: [15, 1, 600],
  SLO_ACK_MS: [250, 1, 600_000],
} as const;
const unitSeconds = { s: 1, m: 60, h: 3_600 } as const;
const secondsMax = 24 * 3_600;
const schemes: Readonly<Record<Protocol, readonly string[]>> = {
  mqtt: ['mqtt:', 'mqtts:'],
  websocket: ['ws:', 'wss:'],
};
const variables = { mqtt: 'MQTT', websocket: 'DEVICE' } as const;
const examples = { mqtt: 'mqtt://localhost:1883', websocket: 'ws://localhost:8082' } as const;

/** Parses the environment. Throws one `invalid_config` with all errors. `nowMs`: of the default name of the run. */
export function deviceSettingsFrom(env: NodeJS.ProcessEnv, nowMs: number): DeviceSettings {
  const errors: string[] = [];
  const text = (name: string) => env[name]?.trim() ?? '';
  const number = (name: keyof typeof numbers): number => {
    const [fallback, min, max] = numbers[name];
    if (text(name) === '') return fallback;
    const value = Number(text(name));
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    errors.push(`${name}: expected an integer from ${min} to ${max}, got ${shown(text(name))}`);
    return fallback;
  };
  const protocol = protocols.find((each) => each === (text('PROTOCOL') || 'mqtt'));
  if (protocol === undefined)
    errors.push(`PROTOCOL: expected one of ${protocols.join(', ')}, got ${shown(text('PROTOCOL'))}`);
  const path = [text('PREFIX') || 'loadtest', text('RUN') || `run-${nowMs.toString(36)}`].join('.');
  if (!isDevicePath(path)) errors.push(`PREFIX, RUN: expected segments of a device path, got ${shown(path)}`);
  if (text('TOKEN') === '') errors.push(`TOKEN: expected one that may publish and subscribe ${path}.>, got none`);
  const devices = number('DEVICES');
  const targets = text('TARGET') === '' ? [] : text('TARGET').split(',');
  for (const url of targets) checkUrl('TARGET', url, ['ws:', 'wss:'], 'ws://localhost:8081', errors);
  const ingest = protocol === undefined ? '' : text(variables[protocol]);
  if (protocol !== undefined) checkUrl(variables[protocol], ingest, schemes[protocol], examples[protocol], errors);
  const settings = {
    ...{ protocol: protocol ?? 'mqtt', ingest, targets, token: text('TOKEN'), path, devices },
    rate: number('RATE'),
    seconds: secondsFrom(text('DURATION') || '10s', errors),
    readings: number('READINGS'),
    processes: number('PROCESSES') || Math.ceil(devices / devicesOfProcess),
    graceMs: number('GRACE') * 1_000,
    sloAckMs: number('SLO_ACK_MS'),
  };
  if (settings.processes > devices)
    errors.push(`PROCESSES: expected at most DEVICES=${devices}, got ${settings.processes}`);
  if (errors.length > 0) throw new TailraceError('invalid_config', `load of devices:\n  ${errors.join('\n  ')}`);
  return settings;
}

function checkUrl(name: string, text: string, allowed: readonly string[], example: string, errors: string[]): void {
  if (allowed.includes(URL.parse(text)?.protocol ?? '')) return;
  errors.push(`${name}: expected a URL such as ${example}, got ${text === '' ? 'none' : shown(text)}`);
}

function secondsFrom(text: string, errors: string[]): number {
  const [, count, unit] = /^(\d+)([smh])$/.exec(text) ?? [];
  const seconds = Number(count) * (unitSeconds[unit as keyof typeof unitSeconds] ?? Number.NaN);
  if (seconds >= 1 && seconds <= secondsMax) return seconds;
  errors.push(`DURATION: expected 1s to 24h, such as 30s, got ${shown(text)}`);
  return 1;
}
