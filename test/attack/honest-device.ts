import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

export interface HonestDeviceOptions {
  readonly device: string;
  readonly ingestPort: number;
  readonly token: string;
  /** Report interval. */
  readonly intervalMs: number;
  /** Time of the first report after `start`. */
  readonly phaseMs: number;
}

const answerDeadlineMs = 15_000;
const retryMs = 100;

/**
 * A device that reports 1, 2, 3 … at a steady rate. Each report is due at a fixed time. One that is not accepted is
 * retried with the same message ID, before any newer one.
 */
export class HonestDevice {
  readonly device: string;
  /** The last values sent, and accepted by ingest; 0 before the first. */
  sent = 0;
  acknowledged = 0;
  /** Number of responses that did not accept a report, by their text. */
  readonly refusals = new Map<string, number>();
  readonly #options: HonestDeviceOptions;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  /** Times at which reports are due, by value, `performance.now`. */
  readonly #dueAtMs: number[] = [];
  #isRunning = false;
  #isAbandoned = false;
  #done: Promise<void> = Promise.resolve();

  constructor(options: HonestDeviceOptions) {
    this.device = options.device;
    this.#options = options;
  }

  start(): void {
    this.#isRunning = true;
    this.#done = this.#run();
  }

  /** Resolves when all sent reports are accepted. It can be started again. */
  async stop(): Promise<void> {
    this.#isRunning = false;
    await this.#done;
  }

  /** Stops at once, also before the last report is accepted. */
  abandon(): void {
    this.#isRunning = false;
    this.#isAbandoned = true;
    this.#agent.destroy();
  }

  dueAtMs(value: number): number {
    return this.#dueAtMs[value] ?? Number.NaN;
  }

  async #run(): Promise<void> {
    const { intervalMs, phaseMs } = this.#options;
    let dueMs = performance.now() + phaseMs;
    for (;;) {
      await sleep(Math.max(0, dueMs - performance.now()));
      if (!this.#isRunning) return;
      this.sent++;
      this.#dueAtMs[this.sent] = dueMs;
      await this.#deliver(this.sent);
      dueMs += intervalMs;
    }
  }

  async #deliver(value: number): Promise<void> {
    const body = JSON.stringify({
      device: this.device,
      time: Date.now(),
      id: `${this.device}-${value}`,
      readings: [{ tag: 'n', value }],
    });
    while (!this.#isAbandoned) {
      const refusal = await this.#post(body);
      if (refusal === undefined) {
        this.acknowledged = value;
        return;
      }
      this.refusals.set(refusal, (this.refusals.get(refusal) ?? 0) + 1);
      await sleep(retryMs);
    }
  }

  /** Resolves with the reason if it was not accepted. */
  #post(body: string): Promise<string | undefined> {
    const { ingestPort, token } = this.#options;
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const headers = {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    const options = { agent: this.#agent, method: 'POST', host: '127.0.0.1', port: ingestPort, path: '/v1/ingest' };
    const sent = request({ ...options, headers, timeout: answerDeadlineMs }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      answer.on('end', () => {
        const isAccepted = answer.statusCode === 202 && text.includes('"accepted":1');
        resolve(isAccepted ? undefined : `${answer.statusCode} ${text.slice(0, 200)}`);
      });
      answer.on('error', (error) => resolve(error.message));
    });
    sent.on('timeout', () => sent.destroy(new Error(`no answer within ${answerDeadlineMs} ms`)));
    sent.on('error', (error) => resolve(error.message));
    sent.end(body);
    return promise;
  }
}
