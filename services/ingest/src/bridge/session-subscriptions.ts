import type { ClientSubscription } from '@tailrace/mqtt/client-options';
import type { BridgeNotes } from './bridge-notes.ts';

/**
 * The subscriptions of a session at a broker, which keeps them over restarts of both sides, also those that are not in
 * the file any more. Noted in the log, so that the next process unsubscribes from those, and, with MQTT 3.1.1, does not
 * subscribe to the others again.
 */
export class SessionSubscriptions {
  readonly #notes: Pick<BridgeNotes, 'get' | 'set'>;
  readonly #key: string;
  readonly #wanted: readonly ClientSubscription[];

  constructor(notes: Pick<BridgeNotes, 'get' | 'set'>, key: string, wanted: readonly ClientSubscription[]) {
    this.#notes = notes;
    this.#key = key;
    this.#wanted = wanted;
  }

  /** Whether the session, if the broker still has it, has the subscriptions of the file. */
  get isKnown(): boolean {
    const noted = this.#noted();
    return noted !== undefined && this.#wanted.every((each) => noted.includes(textOf(each)));
  }

  /** Returns the filters of the session that are not in the file. */
  obsolete(): readonly string[] {
    const wanted = new Set(this.#wanted.map(({ filter }) => filter));
    return (this.#noted() ?? [])
      .map((text) => text.slice(text.indexOf(' ') + 1))
      .filter((filter) => !wanted.has(filter));
  }

  /** Resolves when the subscriptions are noted. Rejects as `EventLog.append` does. */
  async note(): Promise<void> {
    if (this.isKnown && this.obsolete().length === 0) return;
    await this.#notes.set(this.#key, this.#wanted.map(textOf));
  }

  #noted(): readonly string[] | undefined {
    const noted = this.#notes.get(this.#key);
    return Array.isArray(noted) && noted.every((text) => typeof text === 'string') ? noted : undefined;
  }
}

function textOf({ filter, qos }: ClientSubscription): string {
  return `${qos} ${filter}`;
}
