import type { Mosquitto } from '@tailrace/testkit/mosquitto';
import { type AcknowledgmentProxy, startAcknowledgmentProxy } from '../../services/ingest/test/acknowledgment-proxy.ts';
import { Publisher } from '../../services/ingest/test/mqtt-publisher.ts';
import { idsWith, Ledger } from './ledger.ts';
import { Pace, type Sender } from './paced-sender.ts';

const devices = 7;
const prefix = 'bridge-';

/**
 * Devices on a broker, which a bridge reads. A message counts as acknowledged when the bridge has acknowledged it to
 * the broker: a broker that is killed loses some of those that it has acknowledged itself.
 */
export class BridgeSender implements Sender {
  readonly ledger = new Ledger('bridge', idsWith(prefix));
  readonly inFlightMax = 500;
  readonly lossMax = 500;
  readonly #mosquitto: Mosquitto;
  readonly #pace: Pace;
  #proxy: AcknowledgmentProxy | undefined;
  #publisher: Publisher | undefined;

  constructor({ mosquitto, perSecond }: { mosquitto: Mosquitto; perSecond: number }) {
    this.#mosquitto = mosquitto;
    const { ledger, inFlightMax } = this;
    const send = (id: string, value: number) =>
      this.#publisher!.publish(`plant/press${value % devices}`, JSON.stringify({ id, value }));
    const waiting = () => this.#publisher!.unacknowledged;
    this.#pace = new Pace({ ledger, inFlightMax, perSecond, send, prefix, waiting });
  }

  /** Starts the proxy between the broker and the bridge. Resolves with its port. */
  async listen(): Promise<number> {
    this.#proxy = await startAcknowledgmentProxy(this.#mosquitto, (payload) =>
      this.#pace.acknowledged((JSON.parse(payload.toString()) as { id: string }).id),
    );
    return this.#proxy.port;
  }

  async start(): Promise<void> {
    this.#publisher = new Publisher(this.#mosquitto);
    this.#pace.start();
  }

  async finish(): Promise<void> {
    this.#pace.stop();
    await this.#publisher!.done();
    await this.#pace.settled(this.#pace.next());
  }

  async stop(): Promise<void> {
    this.#pace.stop();
    await this.#publisher?.stop();
    this.#proxy?.close();
  }
}
