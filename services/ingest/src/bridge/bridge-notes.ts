import { boundsOf, type EventLog } from '@tailrace/eventlog/event-log';

/**
 * What bridges must know after a restart, and on other nodes, in a small compacted topic: `<prefix>.bridges`.
 *
 * | key | value, as JSON | meaning |
 * | --- | --- | --- |
 * | `<bridge>/session/<client ID>` | `["<QoS> <filter>", …]` | the subscriptions of the session at the broker |
 * | `<bridge>/retained/<filter>` | `true` | the retained messages of the filter were taken |
 */
export class BridgeNotes {
  readonly #eventLog: Pick<EventLog, 'ensureTopic' | 'bounds' | 'read' | 'append'>;
  readonly #topic: string;
  readonly #notes = new Map<string, unknown>();
  #next = 0;

  constructor(eventLog: Pick<EventLog, 'ensureTopic' | 'bounds' | 'read' | 'append'>, topicPrefix: string) {
    this.#eventLog = eventLog;
    this.#topic = `${topicPrefix}.bridges`;
  }

  /** Creates the topic if it is missing, and reads it. Rejects as `EventLog.ensureTopic` and `read` do. */
  async start(): Promise<void> {
    await this.#eventLog.ensureTopic({
      name: this.#topic,
      partitions: 1,
      retentionMs: Number.POSITIVE_INFINITY,
      retentionBytes: Number.POSITIVE_INFINITY,
      compacted: true,
    });
    await this.read();
  }

  /** Reads what was written since the last call, also by other nodes. Rejects as `EventLog.read` does. */
  async read(): Promise<void> {
    const { next: until } = boundsOf(await this.#eventLog.bounds(this.#topic, [0]), 0);
    if (until <= this.#next) return;
    for await (const records of this.#eventLog.read(this.#topic, 0, { from: this.#next, until })) {
      for (const { key, value } of records) {
        if (value.length > 0) this.#notes.set(key, parsed(value));
        else this.#notes.delete(key);
      }
    }
    this.#next = until;
  }

  get(key: string): unknown {
    return this.#notes.get(key);
  }

  /** Resolves when the note is durable. Rejects as `EventLog.append` does. */
  async set(key: string, value: unknown): Promise<void> {
    await this.#eventLog.append(this.#topic, [{ key, value: Buffer.from(JSON.stringify(value)) }]);
    this.#notes.set(key, value);
  }
}

/** A record that another program has written counts as none. */
function parsed(value: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(value).toString());
  } catch {
    return undefined;
  }
}
