import { DeviceConnection } from '@tailrace/client/device';
import { TailraceError } from '@tailrace/protocol/error';
import { idsWith, Ledger } from './ledger.ts';
import { Pace, type Sender } from './paced-sender.ts';

const devices = 5;

/** Devices with a WebSocket each, by the SDK. Every second message has QoS 2. */
export class WebSocketSender implements Sender {
  readonly ledger = new Ledger('WebSocket', idsWith('ws-'));
  readonly inFlightMax = 300;
  readonly lossMax = 0;
  readonly #connections: readonly DeviceConnection[];
  readonly #pace: Pace;

  constructor({ url, token, perSecond }: { url: string; token: string; perSecond: number }) {
    this.#connections = Array.from(
      { length: devices },
      (_, index) =>
        new DeviceConnection({
          ...{ url, token, device: `plant1.websocket.machine${index}` },
          ...{ backoff: { baseMs: 50, capMs: 500 }, deadMs: 3_000 },
        }),
    );
    const { ledger, inFlightMax } = this;
    const send = (id: string, value: number) => void this.#send(id, value);
    this.#pace = new Pace({ ledger, inFlightMax, perSecond, send, prefix: 'ws-' });
  }

  async start(): Promise<void> {
    for (const connection of this.#connections) connection.start();
    this.#pace.start();
  }

  async finish(): Promise<void> {
    try {
      await this.#pace.finish();
    } catch (cause) {
      const states = this.#connections.map(({ state, counts, unanswered }) => ({ state, counts, unanswered }));
      const { message } = cause as Error;
      throw new TailraceError('timeout', `${message} Connections: ${JSON.stringify(states)}`, { cause });
    }
  }

  async stop(): Promise<void> {
    this.#pace.stop();
    await Promise.all(this.#connections.map((connection) => connection.close()));
  }

  async #send(id: string, value: number): Promise<void> {
    const connection = this.#connections[value % devices]!;
    try {
      const { status } = await connection.status([{ tag: 'n', value }], { id, qos: value % 2 === 0 ? 1 : 2 });
      if (status === 'accepted' || status === 'duplicate') this.#pace.acknowledged(id);
    } catch {
      // Closed: it stays without an acknowledgment.
    }
  }
}
