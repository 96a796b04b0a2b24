import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DeviceConnection } from '@tailrace/client/device';
import type { StackCluster } from '../../scripts/stack-cluster.ts';

const device = 'plant.pump1';
const pauseMs = 250;

/**
 * A normal use of control: commands to a device that executes them, leases, a scene that a schedule runs each second,
 * and an alarm that is raised, returns and is notified. `start` resolves when all of it is set up.
 */
export class ControlLoad {
  readonly #cluster: StackCluster;
  readonly #url: string;
  readonly #receiver: Server = createServer((request, response) => request.resume().on('end', () => response.end()));
  #device: DeviceConnection | undefined;
  #running = true;
  #done: Promise<unknown> = Promise.resolve();

  constructor(cluster: StackCluster, url: string) {
    this.#cluster = cluster;
    this.#url = url;
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#receiver.listen(0, '127.0.0.1', resolve));
    const { port } = this.#receiver.address() as AddressInfo;
    this.#device = new DeviceConnection({
      ...{ url: this.#cluster.ingest.url, device, token: this.#cluster.token },
      onCommand: (_command, answer) => answer.reply({ state: 'done', confirmedBy: 'device' }),
    });
    this.#device.start();
    const step = { do: 'command', device, command: 'set', params: { speed: 1 } };
    await this.#put('/v1/scenes/tick', { name: 'Tick', steps: [step] });
    const schedule = { name: 'Tick', scene: 'tick', cron: '* * * * * *', timeZone: 'UTC', overlap: 'skip' };
    await this.#put('/v1/schedules/tick', schedule);
    const { secret } = (await this.#request('POST', '/v1/notification-targets/secret')) as { secret: string };
    const target = { kind: 'webhook', url: `http://127.0.0.1:${port}/`, secrets: [secret] };
    await this.#put('/v1/notification-targets/hook', { target });
    await this.#put('/v1/notification-routes/all', { patterns: ['plant.>'], targets: ['hook'] });
    const condition = { kind: 'limits', tag: 'pressure', limits: { H: { value: 5 } } };
    await this.#put('/v1/rules/pressure?version=0&force=true', { devices: [device], condition, priority: 3 });
    this.#done = Promise.all([this.#act(), this.#report()]);
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#done;
    await this.#device?.close();
    this.#receiver.closeAllConnections();
    await new Promise((resolve) => this.#receiver.close(resolve));
  }

  async #act(): Promise<void> {
    while (this.#running) {
      const { token } = (await this.#request('POST', '/v1/leases', { action: 'acquire', scope: device })) as {
        token: number;
      };
      const command = { id: randomUUID(), device, name: 'set', params: { speed: 2 }, lease: token };
      await this.#request('POST', '/v1/commands', command);
      await this.#request('POST', '/v1/leases', { action: 'release', scope: device, token });
      await pause();
    }
  }

  /** The alarm is raised and returns by turns. */
  async #report(): Promise<void> {
    for (let n = 0; this.#running; n++) {
      await this.#device?.status([{ tag: 'pressure', value: n % 2 === 0 ? 9 : 1 }]);
      await pause();
    }
  }

  #put(path: string, body: object): Promise<unknown> {
    return this.#request('PUT', path, body);
  }

  async #request(method: string, path: string, body?: object): Promise<unknown> {
    const authorization = `Bearer ${this.#cluster.token}`;
    const sent =
      body === undefined
        ? { headers: { authorization } }
        : { headers: { authorization, 'content-type': 'application/json' }, body: JSON.stringify(body) };
    const answer = await fetch(this.#url + path, { method, ...sent });
    const text = await answer.text();
    assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  }
}

/** Interval of the load; no assertion depends on it. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, pauseMs));
}
