import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ControlApi } from './control-api.ts';
import type { Person } from './people.ts';

/** The schedule of a run: every 5 s, with the smallest window to catch up. */
export const tick = { id: 'tick', everyMs: 5_000, catchUpMs: 10_000 } as const;
/** Alarms of this priority and higher ones are notified. */
export const notifiedPriority = 2;

/** What works without people: a schedule that commands a device, and a webhook that is notified of alarms. */
export class Automation {
  /** IDs of the transitions that the webhook was notified of, in the order of the notifications. */
  readonly notified: string[] = [];
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      request.resume();
      request.on('end', () => {
        this.notified.push(String(request.headers['webhook-id']));
        response.statusCode = 204;
        response.end();
      });
    });
  }

  /** Resolves when the schedule is in force. Its runs command `device`, with the rights of the engineer. */
  async start(api: ControlApi, { token }: Person, device: string): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const { port } = this.#server.address() as AddressInfo;
    const { secret } = await api.ok(token, 'POST', '/v1/notification-targets/secret');
    const target = { kind: 'webhook', url: `http://127.0.0.1:${port}/alarms`, secrets: [secret] };
    await api.ok(token, 'PUT', '/v1/notification-targets/shift', { target });
    const route = { patterns: ['plant1.>'], priorityMax: notifiedPriority, targets: ['shift'] };
    await api.ok(token, 'PUT', '/v1/notification-routes/urgent', route);
    const scene = { name: 'Tick', steps: [{ do: 'command', device, command: 'tick' }] };
    await api.ok(token, 'PUT', `/v1/scenes/${tick.id}`, scene);
    const schedule = { name: 'Tick', scene: tick.id, cron: '*/5 * * * * *', timeZone: 'UTC', overlap: 'parallel' };
    await api.ok(token, 'PUT', `/v1/schedules/${tick.id}`, { ...schedule, catchUpMs: tick.catchUpMs });
  }

  /** Starts no further run. */
  async pause(api: ControlApi, { token }: Person): Promise<void> {
    await api.ok(token, 'POST', `/v1/schedules/${tick.id}/pause`);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
  }
}
