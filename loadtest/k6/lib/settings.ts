/** What the environment says, checked. All faults are said at once. */
export type Environment = Readonly<Record<string, string | undefined>>;

export interface Settings {
  /** Addresses of the streams, ws:// or wss://. */
  readonly targets: readonly string[];
  /** Of ingest, http:// or https://. */
  readonly ingest: string;
  /** One that may do everything of the run; empty where it is made of the secret. */
  readonly token: string;
  readonly tokenSecret: string;
  readonly prefix: string;
  /** Empty: a name by the time. */
  readonly run: string;
  readonly encoding: 'proto' | 'json';
  readonly clients: number;
  readonly devices: number;
  /** Devices of a line, which is what a client watches. */
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
  readonly cuts: number;
  readonly sloLatencyMs: number;
  readonly sloPauseMs: number;
  readonly sloIngestMs: number;
  /** Folder of the summaries; empty: none are written. */
  readonly summary: string;
}

/** What a scenario says where the environment does not. */
export type Defaults = Partial<Record<keyof typeof numbers, number>> & { readonly duration: string };

/** Name of the variable, default, least and most. Whole numbers, unless said otherwise. */
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
  CUTS: [3, 1, 100],
  SLO_LATENCY_MS: [250, 1, 600_000],
  SLO_PAUSE_MS: [2000, 1, 600_000],
  SLO_INGEST_MS: [250, 1, 600_000],
} as const;

const durationUnitsMs = { s: 1000, m: 60_000, h: 3_600_000 } as const;
const durationMsMax = 7 * 24 * 3_600_000;
const whereElse = 'or run `make loadtest`, which reads data/stack/endpoints.json of `make stack`';

/** Throws one error with every fault in words. */
export function settingsFrom(env: Environment, defaults: Defaults): Settings {
  const faults: string[] = [];
  const text = (name: string) => env[name]?.trim() ?? '';
  const number = (name: keyof typeof numbers): number => {
    const [initial, min, max] = numbers[name];
    if (text(name) === '') return defaults[name] ?? initial;
    const value = Number(text(name));
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    faults.push(`${name}=${text(name)}: right is a whole number from ${min} to ${max}`);
    return initial;
  };
  const settings: Settings = {
    targets: addresses('TARGET', text('TARGET'), ['ws', 'wss'], faults),
    ingest: addresses('INGEST', text('INGEST'), ['http', 'https'], faults)[0] ?? '',
    token: text('TOKEN'),
    tokenSecret: text('TOKEN_SECRET'),
    prefix: segment('PREFIX', text('PREFIX') || 'loadtest', faults),
    run: text('RUN') === '' ? '' : segment('RUN', text('RUN'), faults),
    encoding: choice('ENCODING', text('ENCODING') || 'proto', ['proto', 'json'], faults),
    follow: choice('FOLLOW', text('FOLLOW') || 'true', ['true', 'false'], faults) === 'true',
    durationMs: duration(text('DURATION') || defaults.duration, faults),
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
    cuts: number('CUTS'),
    sloLatencyMs: number('SLO_LATENCY_MS'),
    sloPauseMs: number('SLO_PAUSE_MS'),
    sloIngestMs: number('SLO_INGEST_MS'),
    summary: text('SUMMARY').replace(/\/+$/, ''),
  };
  faults.push(...contradictions(settings));
  if (faults.length > 0) throw new Error(`the environment of the load test is not right:\n  ${faults.join('\n  ')}`);
  return settings;
}

function contradictions({ token, tokenSecret, devices, line }: Settings): string[] {
  const faults: string[] = [];
  if (token === '' && tokenSecret === '')
    faults.push(
      `neither TOKEN nor TOKEN_SECRET is set: right is a token that may publish and see the run's devices, or the HS256 secret to make one with; ${whereElse}`,
    );
  if (tokenSecret !== '' && tokenSecret.length < 32)
    faults.push(`TOKEN_SECRET has ${tokenSecret.length} characters: right are at least 32`);
  if (devices % line !== 0) faults.push(`DEVICES=${devices} is no multiple of LINE=${line}, the devices of a line`);
  return faults;
}

function addresses(name: string, text: string, schemes: readonly string[], faults: string[]): readonly string[] {
  const example = `${schemes[0]}://localhost:${name === 'TARGET' ? '8081' : '8082'}`;
  if (text === '') faults.push(`${name} is not set: right is such as ${example}; ${whereElse}`);
  const urls = text.split(',').map((each) => each.trim().replace(/\/+$/, ''));
  for (const url of urls) {
    const scheme = /^([a-z]+):\/\/[^/?#\s]+(\/[^?#\s]*)?$/.exec(url)?.[1];
    if (text !== '' && !schemes.includes(scheme ?? ''))
      faults.push(`${name}=${url}: right is ${schemes.join(':// or ')}:// with a host, such as ${example}`);
  }
  return text === '' ? [] : urls;
}

function segment(name: string, text: string, faults: string[]): string {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(text))
    faults.push(`${name}=${text}: right is a segment of device paths, 1 to 64 of A-Z a-z 0-9 _ -`);
  return text;
}

function choice<T extends string>(name: string, text: string, right: readonly T[], faults: string[]): T {
  const found = right.find((each) => each === text);
  if (found === undefined) faults.push(`${name}=${text}: right is ${right.join(' or ')}`);
  return found ?? right[0]!;
}

function duration(text: string, faults: string[]): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)(s|m|h)$/.exec(text) ?? [];
  const ms = Number(digits) * (durationUnitsMs[unit as keyof typeof durationUnitsMs] ?? Number.NaN);
  if (ms >= 1000 && ms <= durationMsMax) return Math.round(ms);
  faults.push(`DURATION=${text}: right is such as 30s, 5m or 2h, from 1s to 168h`);
  return 1000;
}
