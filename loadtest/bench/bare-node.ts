/** A bare uWebSockets.js server whose clients are each on one topic, for what a connection costs at least. */

import { createWebServer } from '@tailrace/fanout/uws-transport';
import { createLogger } from '@tailrace/platform/logger';
import { answer, cpuSeconds } from './child.ts';

interface Client {
  readonly channel: string;
}

answer({
  start: async () => {
    const server = createWebServer({
      host: '127.0.0.1',
      port: 0,
      logger: createLogger({ service: 'bench', level: 'warn' }),
    });
    server.app.ws<Client>('/v1/stream', {
      idleTimeout: 60,
      sendPingsAutomatically: true,
      upgrade: (res, req, context) => {
        const channel = new URLSearchParams(req.getQuery()).get('channel') ?? '';
        const [key, protocol, extensions] = ['key', 'protocol', 'extensions'].map((name) =>
          req.getHeader(`sec-websocket-${name}`),
        );
        res.upgrade({ channel }, key!, protocol!, extensions!, context);
      },
      open: (ws) => void ws.subscribe(ws.getUserData().channel),
    });
    return { port: (await server.listen()).port, token: 'none' };
  },
  use: () => {
    (globalThis as { gc?: () => void }).gc?.();
    return { cpu: cpuSeconds(), rss: process.memoryUsage().rss };
  },
  cpu: () => ({ cpu: cpuSeconds() }),
});
