import { Counter } from '@tailrace/platform/measures';
import { clientMessageKinds } from '@tailrace/protocol/client-message';
import { closeCodes } from '@tailrace/protocol/close';
import { errorCodes } from '@tailrace/protocol/error';

/** What a client may say; `invalid`: what could not be read. */
export const messageKinds = [...clientMessageKinds, 'invalid'] as const;

/** Ours, and those of RFC 6455 with which clients and networks end. Whatever else comes counts as `other`. */
const closeLabels = Object.values(closeCodes)
  .map(({ code }) => `${code}`)
  .concat('1000', '1001', '1005', '1006', '1011', 'other');

/** Families of counters, by the values of their label: closed lists, so that no client can make them grow. */
export const sessionLabels = { kind: messageKinds, code: errorCodes, close: closeLabels } as const;

/** What the clients of a node said, what was wrong with it, and how they went. A metric may put its own counters in the place of these, before the first client. */
export class SessionCounts {
  messages = countersOf(sessionLabels.kind);
  errors = countersOf(sessionLabels.code);
  #closes = countersOf<string>(sessionLabels.close);

  set closes(closes: Record<string, Counter>) {
    this.#closes = closes;
  }

  /** A connection has ended with this code. */
  closed(code: number): void {
    (this.#closes[code] ?? this.#closes['other']!).add();
  }
}

function countersOf<L extends string>(labels: readonly L[]): Record<L, Counter> {
  return Object.fromEntries(labels.map((label) => [label, new Counter()])) as Record<L, Counter>;
}
