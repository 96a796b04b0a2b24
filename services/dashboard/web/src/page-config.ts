/** What `GET /config.json` tells. */
export interface PageConfig {
  /** Of one installation; at least one. */
  readonly streamUrls: readonly string[];
  /** Where devices send their reports. */
  readonly ingestUrl: string;
  readonly token: string;
}

/** It, or a sentence for people that says why it cannot be had. */
export type PageConfigAnswer = { readonly config: PageConfig } | { readonly fault: string };

/**
 * Asks the server where the streams are. A URL that is empty or left out means this host, at the port that goes with
 * it. Never rejects.
 */
export async function loadPageConfig(): Promise<PageConfigAnswer> {
  const url = new URL('config.json', document.baseURI);
  const response = await fetch(url, { cache: 'no-store', headers: { accept: 'application/json' } }).catch(
    () => undefined,
  );
  if (response === undefined) return { fault: `${url.host} does not answer. Is the dashboard's server running?` };
  if (!response.ok) return { fault: `${url.href} answered ${response.status} ${response.statusText}.` };
  const body: unknown = await response.json().catch(() => undefined);
  const {
    streamUrl,
    streamPort = 8081,
    ingestUrl,
    ingestPort = 8082,
    token,
  } = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
  if (typeof streamUrl !== 'string')
    return { fault: `${url.href} does not say where the streams are: streamUrl is missing.` };
  const { protocol, hostname } = location;
  const secure = protocol === 'https:' ? 's' : '';
  const streamUrls = streamUrl
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
  return {
    config: {
      streamUrls: streamUrls.length > 0 ? streamUrls : [`ws${secure}://${hostname}:${streamPort}`],
      ingestUrl: String(ingestUrl || `http${secure}://${hostname}:${ingestPort}`),
      token: typeof token === 'string' ? token : '',
    },
  };
}
