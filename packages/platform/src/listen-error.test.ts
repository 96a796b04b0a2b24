import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listenError } from './listen-error.ts';

test('a port in use names the setting, and the command of this system that lists the process', () => {
  const address = { host: '127.0.0.1', port: 8080, portSetting: 'portBase' };
  const message = (platform: string) => listenError(address, 'EADDRINUSE', undefined, platform).message;
  assert.match(
    message('linux'),
    /^port 8080 .*\(ss -ltnp 'sport = :8080' names it\) or set portBase \(TAILRACE_PORT_BASE\)/,
  );
  assert.match(message('darwin'), /\(lsof -nP -iTCP:8080 -sTCP:LISTEN names it\)/);
});
