import type { ClientHandlers, ClientSubscription, StopOptions } from '@tailrace/mqtt/client-options';
import type { InboundMessage } from '@tailrace/mqtt/inbound-messages';
import { pauseReasons } from '@tailrace/mqtt/packet-connection';
import type { Clock, Timer } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { backoffMs } from '@tailrace/protocol/backoff';
import type { BridgeNotes } from './bridge-notes.ts';

/** A connection of its own: with a shared subscription a broker sends no retained messages (MQTT 5, section 4.8.2). */
export interface RetainedClient {
  start(): void;
  settle(ticket: number, reason: number): void;
  flush(): void;
  pause(reason: number): void;
  resume(reason: number): void;
  stop(options: StopOptions): Promise<void>;
}

export interface RetainedMessagesOptions {
  /** Name of the bridge. */
  readonly name: string;
  /** Those that are to be taken once. */
  readonly filters: readonly string[];
  readonly notes: Pick<BridgeNotes, 'get' | 'set' | 'read'>;
  readonly createClient: (subscriptions: readonly ClientSubscription[], handlers: ClientHandlers) => RetainedClient;
  /** Takes a message to the log; `done` is called when it is there. */
  readonly take: (message: InboundMessage, done: () => void) => void;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

/** Messages that wait for the log; then reading pauses. Those of QoS 0 have no other limit. */
const unsettledMax = 1_000;
/** All retained messages have come when none has for this time. */
const quietMs = 2_000;
/** All nodes connect with one client ID, so that one of them takes the messages. The others wait this long. */
const retry = { baseMs: 10_000, capMs: 300_000 };

/**
 * Takes the messages that a broker has retained for some filters, once in the life of the installation: afterwards the
 * log has a note for each filter.
 *
 * | state | event | then |
 * | --- | --- | --- |
 * | waiting | every filter has its note | done |
 * | waiting | otherwise | connects, with a new session, and subscribes |
 * | taking | a message with the retain flag | to the log |
 * | taking | a message without it | left out: it comes by the subscription of the bridge, too |
 * | taking | none for 2 s, and the log has all | notes the filters; done |
 * | taking | the connection is lost, or taken over by another node | waits, from 5 s to 5 min |
 */
export class RetainedMessages {
  readonly #options: RetainedMessagesOptions;
  #client: RetainedClient | undefined;
  #timer: Timer | undefined;
  /** Filters without a note. */
  #filters: readonly string[] = [];
  #unsettled = 0;
  #attempts = 0;
  #isStopped = false;

  constructor(options: RetainedMessagesOptions) {
    this.#options = options;
  }

  /** Connects, if a filter has no note. */
  start(): void {
    const { name, filters, notes } = this.#options;
    this.#filters = filters.filter((filter) => notes.get(retainedKey(name, filter)) !== true);
    if (this.#filters.length === 0 || this.#isStopped) return;
    const subscriptions = this.#filters.map(
      (filter) => ({ filter, qos: 1, retainAsPublished: true, retainHandling: 0 }) as const,
    );
    this.#unsettled = 0;
    const client: RetainedClient = this.#options.createClient(subscriptions, {
      publish: (message) => this.#receive(client, message),
      opened: () => this.#waitForQuiet(),
      disconnected: () => this.#closed(),
    });
    this.#client = client;
    client.start();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    await this.#client?.stop({ drainMs: 0 });
  }

  #receive(client: RetainedClient, message: InboundMessage): void {
    const settle = () => {
      if (message.ticket < 0) return;
      client.settle(message.ticket, 0);
      client.flush();
    };
    if (!message.retain) {
      settle();
      return;
    }
    this.#waitForQuiet();
    if (++this.#unsettled >= unsettledMax) client.pause(pauseReasons.bytes);
    this.#options.take(message, () => {
      if (--this.#unsettled === unsettledMax / 2) client.resume(pauseReasons.bytes);
      settle();
    });
  }

  #waitForQuiet(): void {
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(quietMs, () => {
      if (this.#unsettled > 0) this.#waitForQuiet();
      else void this.#finish();
    });
  }

  async #finish(): Promise<void> {
    const { name, notes, logger } = this.#options;
    const filters = this.#filters;
    await this.#client?.stop({ drainMs: 0 });
    try {
      for (const filter of filters) await notes.set(retainedKey(name, filter), true);
      logger.info({ bridge: name, filters: filters.length }, 'the retained messages of the broker were taken');
    } catch (error) {
      logger.warn({ bridge: name, error }, 'cannot note that the retained messages were taken; they are taken again');
      this.#startLater();
    }
  }

  #closed(): void {
    this.#timer?.cancel();
    // Not its own attempts: another node may have taken the messages meanwhile.
    void this.#client?.stop({ drainMs: 0 });
    this.#startLater();
  }

  #startLater(): void {
    const { clock, random, notes, name, logger } = this.#options;
    if (this.#isStopped) return;
    const waitMs = backoffMs(this.#attempts++, () => 0.5 + random() / 2, retry);
    this.#timer = clock.after(waitMs, () => {
      notes
        .read()
        .then(() => this.start())
        .catch((error: unknown) => {
          logger.warn({ bridge: name, error }, 'cannot read whether the retained messages were taken');
          this.#startLater();
        });
    });
  }
}

function retainedKey(name: string, filter: string): string {
  return `${name}/retained/${filter}`;
}
