import { setTimeout as sleep } from 'node:timers/promises';
import { createPublisher, type Publisher } from '@tailrace/client/publish';
import { idsWith, Ledger } from './ledger.ts';
import { Pace, type Sender } from './paced-sender.ts';

const devices = 20;
const retryMs = 200;

/** Reports over HTTP, by the SDK, which sends one again until it has an answer. */
export class HttpSender implements Sender {
  readonly ledger = new Ledger('HTTP', idsWith('http-'));
  readonly inFlightMax = 500;
  readonly lossMax = 0;
  readonly #publisher: Publisher;
  readonly #pace: Pace;
  #isStopped = false;

  constructor({ url, token, perSecond }: { url: string; token: string; perSecond: number }) {
    this.#publisher = createPublisher({ url, token, backoff: { baseMs: 50, capMs: 500 } });
    const { ledger, inFlightMax } = this;
    const send = (id: string, value: number) => void this.#send(id, value);
    this.#pace = new Pace({ ledger, inFlightMax, perSecond, send, prefix: 'http-' });
  }

  async start(): Promise<void> {
    this.#pace.start();
  }

  finish(): Promise<void> {
    return this.#pace.finish();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#pace.stop();
    this.#publisher.close();
  }

  async #send(id: string, value: number): Promise<void> {
    const device = `plant1.http.machine${value % devices}`;
    const report = { device, id, time: Date.now(), readings: [{ tag: 'n', value }] };
    while (!this.#isStopped) {
      // The SDK gives up after a while.
      const { accepted } = await this.#publisher.publish(report).catch(() => ({ accepted: 0 }));
      if (accepted === 1) {
        this.#pace.acknowledged(id);
        return;
      }
      await sleep(retryMs);
    }
  }
}
