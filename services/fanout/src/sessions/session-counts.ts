import { Counter } from '@tailrace/platform/measures';
import { clientMessageKinds } from '@tailrace/protocol/client-message';
import { closeCodes } from '@tailrace/protocol/close';
import { errorCodes } from '@tailrace/protocol/error';

/** The kinds of client messages; `invalid`: a message that could not be decoded. */
export const messageKinds = [...clientMessageKinds, 'invalid'] as const;

/** Tailrace's close codes, and those of RFC 6455 that clients and networks use. Others count as `other`. */
const closeLabels = Object.values(closeCodes)
  .map(({ code }) => `${code}`)
  .concat('1000', '1001', '1005', '1006', '1011', 'other');

/** The values of labels: closed lists, so that no client can add series. */
export const sessionLabels = { kind: messageKinds, code: errorCodes, close: closeLabels } as const;

/**
 * Counts the messages of clients, the errors sent to them, and their close codes. Before the first client the metrics
 * replace these counters by their own.
 */
export class SessionCounts {
  messages = countersOf(sessionLabels.kind);
  errors = countersOf(sessionLabels.code);
  #closes = countersOf<string>(sessionLabels.close);

  set closes(closes: Record<string, Counter>) {
    this.#closes = closes;
  }

  /** Counts a connection that closed with this code. */
  closed(code: number): void {
    (this.#closes[code] ?? this.#closes['other']!).add();
  }
}

function countersOf<L extends string>(labels: readonly L[]): Record<L, Counter> {
  return Object.fromEntries(labels.map((label) => [label, new Counter()])) as Record<L, Counter>;
}
