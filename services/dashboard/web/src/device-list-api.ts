import type { PageConfig } from './page-config.ts';

/** A device as `GET /v1/devices` lists it. */
export interface ListedDevice {
  readonly device: string;
  readonly state: 'online' | 'stale' | 'offline';
  /** When ingest received its last report, epoch ms. */
  readonly received?: number;
}

/** A page of the list of devices: see docs/PROTOCOL.md. */
export interface DevicePage {
  readonly devices: readonly ListedDevice[];
  /** Where the next page starts; undefined: this is the last. */
  readonly next?: string;
  /** With the first page: all devices, and those that are stale or offline. */
  readonly count?: number;
  readonly notOnline?: number;
  /** Partitions whose devices are not listed. */
  readonly missing?: readonly number[];
}

/** Why a request failed. */
export interface ListError {
  readonly code: string;
  readonly message: string;
}

export type PageAnswer = { readonly page: DevicePage } | { readonly error: ListError };

/** Requests at most `limit` devices behind `after`. Never rejects. */
export type RequestPage = (after: string | undefined, limit: number) => Promise<PageAnswer>;

const deadlineMs = 15_000;

/** Of several servers of one installation, the one that has answered last; any of them lists the devices of all. */
export class ListServers {
  #index = 0;

  /** Requests a page from one server after the other, until one of them is available. */
  async request(urls: readonly string[], request: (url: string) => Promise<PageAnswer>): Promise<PageAnswer> {
    for (let tries = 1; ; tries++) {
      const answer = await request(urls[this.#index % urls.length]!);
      if (!('error' in answer) || answer.error.code !== 'unavailable' || tries >= urls.length) return answer;
      this.#index++;
    }
  }
}

/** The servers of the page, and its token. */
export interface PageSource {
  /** Undefined: not known yet. */
  readonly config: () => Pick<PageConfig, 'streamUrls' | 'token'> | undefined;
  /** Resolves with the current token. */
  readonly renewToken: () => Promise<string>;
}

/** Returns what requests pages from the servers of the page, with a fresh token where the known one is refused. */
export function pageRequests({ config, renewToken }: PageSource): RequestPage {
  const servers = new ListServers();
  const requestWith = (token: string, after: string | undefined, limit: number): Promise<PageAnswer> =>
    servers.request(config()!.streamUrls, (url) => fetchDevicePage(url, token, after, limit));
  return async (after, limit) => {
    const known = config();
    if (known === undefined)
      return { error: { code: 'unavailable', message: 'The page has not loaded the URLs of its servers yet.' } };
    const answer = await requestWith(known.token, after, limit);
    if (!('error' in answer) || answer.error.code !== 'unauthorized') return answer;
    // The token may have changed, as before each attempt to connect.
    const fresh = await renewToken();
    return fresh === known.token ? answer : requestWith(fresh, after, limit);
  };
}

/** Returns the URL of the list, from that of the streams. */
export function devicesUrl(streamUrl: string): string {
  const url = new URL(streamUrl);
  url.protocol = url.protocol.replace('ws', 'http');
  url.pathname = `${url.pathname.replace(/\/+$/, '').replace(/\/v1\/stream$/, '')}/v1/devices`;
  return url.href;
}

export async function fetchDevicePage(
  streamUrl: string,
  token: string,
  after: string | undefined,
  limit: number,
): Promise<PageAnswer> {
  let host = streamUrl;
  try {
    const url = new URL(devicesUrl(streamUrl));
    url.searchParams.set('limit', String(limit));
    if (after !== undefined) url.searchParams.set('after', after);
    host = url.host;
    const headers: HeadersInit = token === '' ? {} : { authorization: `Bearer ${token}` };
    const response = await fetch(url, { cache: 'no-store', headers, signal: AbortSignal.timeout(deadlineMs) });
    const body: unknown = await response.json();
    const { devices, error } = Object(body) as { devices?: unknown; error?: Partial<ListError> };
    if (response.ok && Array.isArray(devices)) return { page: body as DevicePage };
    const { code = 'internal', message = `${host} answered ${response.status}.` } = error ?? {};
    return { error: { code, message } };
  } catch {
    return { error: { code: 'unavailable', message: `${host} does not send the list of devices.` } };
  }
}
