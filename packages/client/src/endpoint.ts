import { shown, TailraceError } from '@tailrace/protocol/error';

/**
 * The address of an endpoint on a server. `wss://plant.example` and `wss://plant.example/v1/stream` are the same; a prefix of a reverse proxy is
 * kept: `https://example.org/tailrace` gives `…/tailrace/v1/ingest`. http and ws stand for each other, so that one address does for both.
 *
 * Throws `invalid_config` for what is no such address, or carries a user, a password or a fragment.
 */
export function endpointUrl(base: string, path: '/v1/stream' | '/v1/ingest'): string {
  const transport = path === '/v1/stream' ? 'ws' : 'http';
  const example = `${transport}://localhost:${path === '/v1/stream' ? 8081 : 8082}`;
  const url = URL.canParse(base) ? new URL(base) : undefined;
  if (url === undefined || !/^(?:http|ws)s?:$/.test(url.protocol)) {
    throw new TailraceError('invalid_config', `expected the address of a server, as in ${example}, got ${shown(base)}`);
  }
  if (url.username !== '' || url.password !== '' || url.hash !== '') {
    // Not shown: it may hold a password.
    throw new TailraceError(
      'invalid_config',
      `address of ${shown(url.host)}: expected no user, password or fragment, as in ${example}`,
    );
  }
  url.protocol = /^(?:https|wss):$/.test(url.protocol) ? `${transport}s:` : `${transport}:`;
  const prefix = url.pathname.replace(/\/+$/, '');
  url.pathname = prefix.endsWith(path) ? prefix : prefix + path;
  return url.href;
}
