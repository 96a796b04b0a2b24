/** The answer of `GET /config.json`. */
export interface PageConfig {
  /** Of one installation; at least one. */
  readonly streamUrls: readonly string[];
  /** Where devices send their reports. */
  readonly ingestUrl: string;
  /** Of the API of control; undefined: this installation has none for pages. */
  readonly controlUrl: string | undefined;
  readonly token: string;
}

/** The configuration, or why it cannot be loaded, as a sentence for the user. */
export type PageConfigAnswer = { readonly config: PageConfig } | { readonly error: string };

/**
 * Loads the URLs of the streams from the server. An empty or missing URL means this host, at the default port. Never
 * rejects.
 */
export async function loadPageConfig(): Promise<PageConfigAnswer> {
  const url = new URL('config.json', document.baseURI);
  const response = await fetch(url, { cache: 'no-store', headers: { accept: 'application/json' } }).catch(
    () => undefined,
  );
  if (response === undefined) return { error: `${url.host} does not answer. Is the dashboard's server running?` };
  if (!response.ok) return { error: `${url.href} answered ${response.status} ${response.statusText}.` };
  const body: unknown = await response.json().catch(() => undefined);
  const {
    streamUrl,
    streamPort = 8081,
    ingestUrl,
    ingestPort = 8082,
    controlUrl,
    controlPort,
    token,
  } = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
  if (typeof streamUrl !== 'string')
    return { error: `${url.href} has no streamUrl, so the page cannot find the streams.` };
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
      controlUrl: controlUrl
        ? String(controlUrl).replace(/\/+$/, '')
        : controlPort === undefined
          ? undefined
          : `http${secure}://${hostname}:${controlPort}`,
      token: typeof token === 'string' ? token : '',
    },
  };
}
