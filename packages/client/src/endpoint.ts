import { shown, TailraceError } from '@tailrace/protocol/error';

/**
 * Returns the URL of an endpoint of a server. `wss://plant.example` and `wss://plant.example/v1/stream` are the same.
 * The prefix of a reverse proxy stays: `https://example.org/tailrace` becomes `…/tailrace/v1/ingest`. http and ws are
 * interchangeable, so that one URL serves for both endpoints.
 *
 * Throws `invalid_config` for any other URL, and for one with a user, a password or a fragment.
 */
export function endpointUrl(base: string, path: '/v1/stream' | '/v1/ingest' | '/v1/device' | '/v1/mqtt'): string {
  const transport = path === '/v1/ingest' ? 'http' : 'ws';
  const example = `${transport}://localhost:${path === '/v1/stream' ? 8081 : 8082}`;
  const url = URL.canParse(base) ? new URL(base) : undefined;
  if (url === undefined || !/^(?:http|ws)s?:$/.test(url.protocol)) {
    throw new TailraceError(
      'invalid_config',
      `url: expected the URL of a server, as in ${example}, got ${shown(base)}`,
    );
  }
  if (url.username !== '' || url.password !== '' || url.hash !== '') {
    // Without the URL, which may have a password.
    throw new TailraceError(
      'invalid_config',
      `url of ${shown(url.host)}: expected no user, password or fragment, as in ${example}`,
    );
  }
  url.protocol = /^(?:https|wss):$/.test(url.protocol) ? `${transport}s:` : `${transport}:`;
  const prefix = url.pathname.replace(/\/+$/, '');
  url.pathname = prefix.endsWith(path) ? prefix : prefix + path;
  return url.href;
}
