import type { Clock, Timer } from '@tailrace/platform/clock';
import type { RevocationEntry, Revocations } from '@tailrace/platform/revocation';
import { shown, TailraceError } from '@tailrace/protocol/error';
import type { tailrace } from '@tailrace/protocol/generated';
import { isPlainText } from '@tailrace/protocol/text';
import type { BroadcastContent } from '../broadcast/broadcastlog.ts';
import type { Sessions } from '../sessions/sessions.ts';

export const severities = ['info', 'warning', 'critical'] as const;

/** UTF-16 code units of an operator's message. */
export const noticeCharactersMax = 1_000;

/** A node that comes back hears what was said while it was away: what is older than this is no news to clients. */
const noticeAgeMsMax = 60_000;

/** Revocations come in bursts, and each look goes over all clients: they are gathered for so long. */
const recheckMs = 50;

/** What operators order, for this node and, by broadcast, for all others. */
export class Operators {
  readonly counts = { revokedSessions: 0, notices: 0 };
  readonly #revocations: Revocations;
  readonly #sessions: Pick<Sessions, 'endRevoked' | 'tell'>;
  readonly #clock: Clock;
  readonly #send: (content: BroadcastContent) => void;
  #recheck: Timer | undefined;

  constructor(parts: {
    revocations: Revocations;
    sessions: Pick<Sessions, 'endRevoked' | 'tell'>;
    clock: Clock;
    send: (content: BroadcastContent) => void;
  }) {
    this.#revocations = parts.revocations;
    this.#sessions = parts.sessions;
    this.#clock = parts.clock;
    this.#send = parts.send;
  }

  /** From now on such tokens are refused here and, as soon as they hear of it, on all nodes. Throws `invalid_message` for what no token can be meant by. */
  revoke(entry: RevocationEntry): RevocationEntry {
    const revoked =
      'tokenId' in entry
        ? this.#revocations.revokeToken(entry.tokenId, entry.expiresAt)
        : this.#revocations.revokeSubject(entry.subject, entry.issuedBefore, entry.expiresAt);
    this.#send({ revocations: { entries: [revoked] } });
    this.#look();
    return revoked;
  }

  /** Everything that is revoked, as the bus has it. */
  holding(): readonly tailrace.v1.IRevocation[] {
    return this.#revocations.entries();
  }

  /** To every client of every node. Throws `invalid_message`. */
  notify(severity: string, message: string): void {
    if (!(severities as readonly string[]).includes(severity))
      throw new TailraceError('invalid_message', `severity is ${shown(severity)}; right is ${severities.join(', ')}`);
    if (message === '' || message.length > noticeCharactersMax)
      throw new TailraceError(
        'invalid_message',
        `message is a text of ${message.length} characters; right is 1 to ${noticeCharactersMax}`,
      );
    if (!isPlainText(message))
      throw new TailraceError(
        'invalid_message',
        `message: expected a text without control characters and halves of surrogate pairs, got ${shown(message)}`,
      );
    const notice = { severity, message, time: this.#clock.now() };
    this.#send({ notice });
    this.#show(notice);
  }

  /** From another node. */
  heard({ revocations, notice }: tailrace.v1.Broadcast): void {
    if (revocations) {
      const taken = this.#revocations.merge((revocations.entries ?? []).map(entryFrom));
      if (taken.length > 0) this.#look();
    } else if (notice) {
      const { severity, message, time } = notice;
      const shownMessage = (message ?? '').slice(0, noticeCharactersMax);
      if (this.#clock.now() - (time ?? 0) > noticeAgeMsMax) return;
      this.#show({ severity: severity ?? 'info', message: shownMessage, time: time ?? 0 });
    }
  }

  stop(): void {
    this.#recheck?.cancel();
  }

  #show(notice: { severity: string; message: string; time: number }): void {
    this.counts.notices++;
    this.#sessions.tell({ notice });
  }

  #look(): void {
    this.#recheck ??= this.#clock.after(recheckMs, () => {
      this.#recheck = undefined;
      this.counts.revokedSessions += this.#sessions.endRevoked((claims) => this.#revocations.revoked(claims));
    });
  }
}

function entryFrom({ tokenId, subject, issuedBefore, expiresAt }: tailrace.v1.IRevocation): RevocationEntry {
  const end = expiresAt == null ? {} : { expiresAt };
  if (tokenId) return { tokenId, ...end };
  return { subject: subject ?? '', issuedBefore: issuedBefore ?? Number.NaN, ...end };
}
