/** A device as `GET /v1/devices` lists it. */
export interface ListedDevice {
  readonly device: string;
  readonly state: 'online' | 'stale' | 'offline';
  /** When ingest took its last report, epoch ms. */
  readonly received?: number;
}

/** A page of the list of devices: see docs/PROTOCOL.md. */
export interface DevicePage {
  readonly devices: readonly ListedDevice[];
  /** Where the next page begins; undefined: this is the last. */
  readonly next?: string;
  /** All devices, and those that are silent: of the first page. */
  readonly count?: number;
  readonly silent?: number;
  /** Partitions whose devices are not listed. */
  readonly missing?: readonly number[];
}

/** Why there is no page. */
export interface ListFault {
  readonly code: string;
  readonly message: string;
}

export type PageAnswer = { readonly page: DevicePage } | { readonly fault: ListFault };

/** Asks for a page of at most `limit` devices behind `after`. Never rejects. */
export type AskForPage = (after: string | undefined, limit: number) => Promise<PageAnswer>;

const deadlineMs = 15_000;

/** Where the list is, by where the streams are. */
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
  const url = new URL(devicesUrl(streamUrl));
  url.searchParams.set('limit', String(limit));
  if (after !== undefined) url.searchParams.set('after', after);
  const { host } = url;
  try {
    const headers: HeadersInit = token === '' ? {} : { authorization: `Bearer ${token}` };
    const response = await fetch(url, { cache: 'no-store', headers, signal: AbortSignal.timeout(deadlineMs) });
    const body: unknown = await response.json();
    const { devices, error } = Object(body) as { devices?: unknown; error?: Partial<ListFault> };
    if (response.ok && Array.isArray(devices)) return { page: body as DevicePage };
    const { code = 'internal', message = `${host} answered ${response.status}.` } = error ?? {};
    return { fault: { code, message } };
  } catch {
    return { fault: { code: 'unavailable', message: `${host} does not send the list of devices.` } };
  }
}
