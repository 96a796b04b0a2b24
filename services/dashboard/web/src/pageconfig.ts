/** What `GET /config.json` tells. */
export interface PageConfig {
  readonly streamUrl: string;
  readonly token: string;
}

/** It, or a sentence for people that says why it cannot be had. */
export type PageConfigAnswer = { readonly config: PageConfig } | { readonly fault: string };

/** Asks the server where the streams are. An empty `streamUrl` means this host, port 8081. Never rejects. */
export async function loadPageConfig(): Promise<PageConfigAnswer> {
  const url = new URL('config.json', document.baseURI);
  const response = await fetch(url, { cache: 'no-store', headers: { accept: 'application/json' } }).catch(
    () => undefined,
  );
  if (response === undefined) return { fault: `${url.host} does not answer. Is the dashboard's server running?` };
  if (!response.ok) return { fault: `${url.href} answered ${response.status} ${response.statusText}.` };
  const body: unknown = await response.json().catch(() => undefined);
  const { streamUrl, token } = (typeof body === 'object' && body !== null ? body : {}) as Record<string, unknown>;
  if (typeof streamUrl !== 'string')
    return { fault: `${url.href} does not say where the streams are: streamUrl is missing.` };
  return { config: { streamUrl: streamUrl || streamUrlOf(location), token: typeof token === 'string' ? token : '' } };
}

function streamUrlOf({ protocol, hostname }: Location): string {
  return `${protocol === 'https:' ? 'wss' : 'ws'}://${hostname}:8081`;
}
