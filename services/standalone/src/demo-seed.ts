import { readFile } from 'node:fs/promises';
import { issueToken } from '@tailrace/platform/token';
import { type ErrorCode, TailraceError } from '@tailrace/protocol/error';

/** Rules, scenes, schedules, and names, kinds and labels of devices, as `seed/demo.json` has them, by their IDs. */
interface Seed {
  readonly devices: Readonly<Record<string, object>>;
  readonly rules: Readonly<Record<string, object>>;
  readonly scenes: Readonly<Record<string, object>>;
  /** Without their time zone. */
  readonly schedules: Readonly<Record<string, object>>;
}

/** The subject of the seed in the audit. */
const subject = 'seed';
const patterns = ['plant1.>', 'home.>'];

export interface SeedOptions {
  /** Of the API of control. */
  readonly url: string;
  /** The key of tokens. The runs of the schedules have the rights of the seed, to the plant and the house alone. */
  readonly secret: string;
  /** Of the schedules, a name of the IANA database. Default: that of this machine. */
  readonly timeZone?: string;
}

/** How long the token of the seed is valid, ms. Runs of its schedules do not need it. */
const tokenMs = 600_000;
/** Deadline of each request, ms. */
const requestMs = 10_000;

/**
 * Puts the rules, scenes and schedules of the demo, and what is known of its devices, into an empty store, over
 * the API of control. Resolves with whether it has. Without effect on a store in which people have created some,
 * and once it is complete: what people change or delete stays so. If it was interrupted, the next call adds what
 * is missing. Rejects with the error of control, `unavailable` if it cannot be reached.
 */
export async function seedDemo(options: SeedOptions): Promise<boolean> {
  const { url, secret, timeZone = Intl.DateTimeFormat().resolvedOptions().timeZone } = options;
  const seed = JSON.parse(await readFile(new URL('../seed/demo.json', import.meta.url), 'utf8')) as Seed;
  const token = await issueToken({
    ...{ secret, subject, roles: ['engineer', 'auditor'], publish: [], subscribe: patterns, command: patterns },
    expiresInMs: tokenMs,
  });
  const control = new SeedRequests({ url, token });
  const isDone = async (target: string) => {
    const query = `subject=${subject}&result=done&limit=1${target}`;
    return (await control.get<{ entries: readonly object[] }>(`/v1/audit?${query}`)).entries.length > 0;
  };
  // The schedule that the seed creates last.
  if (await isDone(`&target=schedule/${Object.keys(seed.schedules).at(-1)}`)) return false;
  const isStarted = await isDone('');
  if (!isStarted && !(await isEmpty(control))) return false;
  // At once: one after the other, they take a second.
  await Promise.all(Object.entries(seed.devices).map(([device, fields]) => describeDevice(control, device, fields)));
  // The version 0 is that of what does not exist: nothing is overwritten.
  // Forced: the registry may not know the devices yet.
  for (const [id, rule] of Object.entries(seed.rules))
    await control.create(`/v1/rules/${id}?version=0&force=true`, rule);
  for (const [id, scene] of Object.entries(seed.scenes))
    await control.create(`/v1/scenes/${id}`, { ...scene, version: 0 });
  for (const [id, schedule] of Object.entries(seed.schedules))
    await control.create(`/v1/schedules/${id}`, { ...schedule, timeZone, version: 0 });
  return true;
}

async function isEmpty(control: SeedRequests): Promise<boolean> {
  for (const kind of ['rules', 'scenes', 'schedules']) {
    const body = await control.get<Readonly<Record<string, readonly object[]>>>(`/v1/${kind}`);
    if ((body[kind] ?? []).length > 0) return false;
  }
  return true;
}

/** Adds what is known of a device, unless a person has. A device that has reported has the version 1. */
async function describeDevice(control: SeedRequests, device: string, fields: object): Promise<void> {
  const path = '/v1/registry/devices';
  if (await control.send('POST', path, { device, ...fields }, 'conflict')) return;
  const { source } = await control.get<{ source: string }>(`${path}/${device}`);
  if (source === 'report') await control.send('PATCH', `${path}/${device}`, { ...fields, version: 1 }, 'conflict');
}

/** The requests of the seed. */
class SeedRequests {
  readonly #options: { readonly url: string; readonly token: string };

  constructor(options: { readonly url: string; readonly token: string }) {
    this.#options = options;
  }

  async get<T>(path: string): Promise<T> {
    return (await this.#request('GET', path)) as T;
  }

  /** Creates something that may exist. */
  async create(path: string, body: object): Promise<void> {
    await this.send('PUT', path, body, 'conflict');
  }

  /** Resolves with whether it was done, and not refused with `accepted`. */
  async send(method: string, path: string, body: object, accepted: ErrorCode): Promise<boolean> {
    try {
      await this.#request(method, path, body);
      return true;
    } catch (thrown) {
      if (thrown instanceof TailraceError && thrown.code === accepted) return false;
      throw thrown;
    }
  }

  async #request(method: string, path: string, body?: object): Promise<unknown> {
    const { url, token } = this.#options;
    const headers = { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) };
    const init = {
      method,
      headers,
      signal: AbortSignal.timeout(requestMs),
      ...(body && { body: JSON.stringify(body) }),
    };
    const response = await fetch(url + path, init).catch((cause: unknown) => {
      throw new TailraceError('unavailable', `expected control at ${url}, got no answer`, { cause });
    });
    const answer: unknown = await response.json();
    if (response.ok) return answer;
    const { code = 'internal', message = `status ${response.status}` } =
      (answer as { error?: { code?: ErrorCode; message?: string } }).error ?? {};
    throw new TailraceError(code, `${method} ${path}: ${message}`);
  }
}
