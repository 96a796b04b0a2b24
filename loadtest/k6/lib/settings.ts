/** Environment variables. */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface Settings {
  /** URLs of fanout, ws:// or wss://. */
  readonly targets: readonly string[];
  /** URL of ingest, http:// or https://. */
  readonly ingest: string;
  /** With all rights that the run needs; empty: the run signs its own with the secret. */
  readonly token: string;
  readonly tokenSecret: string;
  readonly prefix: string;
  /** Empty: a name from the time. */
  readonly run: string;
  readonly encoding: 'proto' | 'json';
  readonly clients: number;
  readonly devices: number;
  /** Devices of a line. A client watches a line. */
  readonly line: number;
  /** Reports delivered a second, all clients together, at full load. For `ingest`: reports sent. */
  readonly rate: number;
  readonly durationMs: number;
  readonly vus: number;
  readonly publishers: number;
  /** Reports in a request. */
  readonly batch: number;
  readonly connectRate: number;
  readonly graceMs: number;
  readonly pingMs: number;
  readonly follow: boolean;
  readonly latencySample: number;
  readonly probeMs: number;
  readonly slowClients: number;
  readonly slowMs: number;
  readonly disconnects: number;
  readonly sloLatencyMs: number;
  readonly sloPauseMs: number;
  readonly sloIngestMs: number;
  /** Folder for the summaries; empty: none are written. */
  readonly summary: string;
}

/** Defaults of a scenario. */
export type Defaults = Partial<Record<keyof typeof numbers, number>> & { readonly duration: string };

/** Variables that are integers: default, minimum, maximum. */
const numbers = {
  CLIENTS: [100, 1, 100_000],
  DEVICES: [100, 1, 1_000_000],
  LINE: [10, 1, 1000],
  RATE: [1000, 1, 10_000_000],
  VUS: [0, 0, 1000],
  PUBLISHERS: [0, 0, 100],
  BATCH: [200, 1, 5000],
  CONNECT_RATE: [250, 1, 5000],
  GRACE: [15, 1, 600],
  PING: [10, 1, 300],
  LATENCY_SAMPLE: [0, 0, 100_000],
  PROBE_MS: [900, 100, 30_000],
  SLOW_CLIENTS: [10, 1, 1000],
  SLOW_MS: [500, 1, 20_000],
  DISCONNECTS: [3, 1, 100],
  SLO_LATENCY_MS: [250, 1, 600_000],
  SLO_PAUSE_MS: [2000, 1, 600_000],
  SLO_INGEST_MS: [250, 1, 600_000],
} as const;

const durationUnitsMs = { s: 1000, m: 60_000, h: 3_600_000 } as const;
const durationMsMax = 7 * 24 * 3_600_000;
const alternative = 'or run `make loadtest`, which reads data/stack/endpoints.json of `make stack`';

/** Returns the settings of the environment. Throws one error with all invalid variables. */
export function settingsFrom(env: Environment, defaults: Defaults): Settings {
  const errors: string[] = [];
  const text = (name: string) => env[name]?.trim() ?? '';
  const number = (name: keyof typeof numbers): number => {
    const [initial, min, max] = numbers[name];
    if (text(name) === '') return defaults[name] ?? initial;
    const value = Number(text(name));
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    errors.push(`${name}: expected an integer from ${min} to ${max}, got ${text(name)}`);
    return initial;
  };
  const settings: Settings = {
    targets: addresses('TARGET', text('TARGET'), ['ws', 'wss'], errors),
    ingest: addresses('INGEST', text('INGEST'), ['http', 'https'], errors)[0] ?? '',
    token: text('TOKEN'),
    tokenSecret: text('TOKEN_SECRET'),
    prefix: segment('PREFIX', text('PREFIX') || 'loadtest', errors),
    run: text('RUN') === '' ? '' : segment('RUN', text('RUN'), errors),
    encoding: choice('ENCODING', text('ENCODING') || 'proto', ['proto', 'json'], errors),
    follow: choice('FOLLOW', text('FOLLOW') || 'true', ['true', 'false'], errors) === 'true',
    durationMs: duration(text('DURATION') || defaults.duration, errors),
    clients: number('CLIENTS'),
    devices: number('DEVICES'),
    line: number('LINE'),
    rate: number('RATE'),
    vus: number('VUS'),
    publishers: number('PUBLISHERS'),
    batch: number('BATCH'),
    connectRate: number('CONNECT_RATE'),
    graceMs: number('GRACE') * 1000,
    pingMs: number('PING') * 1000,
    latencySample: number('LATENCY_SAMPLE'),
    probeMs: number('PROBE_MS'),
    slowClients: number('SLOW_CLIENTS'),
    slowMs: number('SLOW_MS'),
    disconnects: number('DISCONNECTS'),
    sloLatencyMs: number('SLO_LATENCY_MS'),
    sloPauseMs: number('SLO_PAUSE_MS'),
    sloIngestMs: number('SLO_INGEST_MS'),
    summary: text('SUMMARY').replace(/\/+$/, ''),
  };
  errors.push(...contradictions(settings));
  if (errors.length > 0) throw new Error(`invalid environment of the load test:\n  ${errors.join('\n  ')}`);
  return settings;
}

function contradictions({ token, tokenSecret, devices, line }: Settings): string[] {
  const errors: string[] = [];
  if (token === '' && tokenSecret === '')
    errors.push(
      `TOKEN, TOKEN_SECRET: expected a token with the rights to publish and to subscribe to the run's devices, or the HS256 secret to sign one, got neither; ${alternative}`,
    );
  if (tokenSecret !== '' && tokenSecret.length < 32)
    errors.push(`TOKEN_SECRET: expected at least 32 characters, got ${tokenSecret.length}`);
  if (devices % line !== 0) errors.push(`DEVICES: expected a multiple of LINE=${line}, got ${devices}`);
  return errors;
}

function addresses(name: string, text: string, schemes: readonly string[], errors: string[]): readonly string[] {
  const example = `${schemes[0]}://localhost:${name === 'TARGET' ? '8081' : '8082'}`;
  if (text === '') errors.push(`${name}: expected a URL such as ${example}, got none; ${alternative}`);
  const urls = text.split(',').map((each) => each.trim().replace(/\/+$/, ''));
  for (const url of urls) {
    const scheme = /^([a-z]+):\/\/[^/?#\s]+(\/[^?#\s]*)?$/.exec(url)?.[1];
    if (text !== '' && !schemes.includes(scheme ?? ''))
      errors.push(`${name}: expected ${schemes.join(':// or ')}:// with a host, such as ${example}, got ${url}`);
  }
  return text === '' ? [] : urls;
}

function segment(name: string, text: string, errors: string[]): string {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(text))
    errors.push(`${name}: expected a segment of device paths, 1 to 64 of A-Z a-z 0-9 _ -, got ${text}`);
  return text;
}

function choice<T extends string>(name: string, text: string, values: readonly T[], errors: string[]): T {
  const found = values.find((each) => each === text);
  if (found === undefined) errors.push(`${name}: expected ${values.join(' or ')}, got ${text}`);
  return found ?? values[0]!;
}

function duration(text: string, errors: string[]): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)(s|m|h)$/.exec(text) ?? [];
  const ms = Number(digits) * (durationUnitsMs[unit as keyof typeof durationUnitsMs] ?? Number.NaN);
  if (ms >= 1000 && ms <= durationMsMax) return Math.round(ms);
  errors.push(`DURATION: expected a duration such as 30s, 5m or 2h, from 1s to 168h, got ${text}`);
  return 1000;
}
