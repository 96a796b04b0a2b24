import type { Queryable } from '@tailrace/database/database';
import type { Timer } from '@tailrace/platform/clock';
import type { Revocations } from '@tailrace/platform/revocation';
import { tailraceErrorFrom } from '@tailrace/protocol/error';
import { controlItself } from './audit/audit-entry.ts';
import { act, type ControlContext } from './control-context.ts';
import type { Requester } from './requester.ts';
import { lockSchedule, storeSchedule } from './schedules/schedule-store.ts';
import { scheduleAct } from './schedules/schedules.ts';
import { lockTrigger, storeTrigger } from './triggers/trigger-store.ts';
import { triggerAct } from './triggers/triggers.ts';

/** Interval of the checks, ms. */
const checkMs = 2_000;

type Kind = 'schedule' | 'trigger';

/** A schedule or a trigger, with whose rights its runs have. */
interface Authored {
  readonly kind: Kind;
  readonly id: string;
  readonly subject: string;
  readonly tokenId: string;
  /** When the token was used, epoch ms. */
  readonly changedMs: number;
}

export interface RevokedAuthorsOptions {
  readonly context: ControlContext;
  readonly revocations: Pick<Revocations, 'revoked' | 'size'>;
}

/**
 * Pauses schedules and triggers whose token was revoked: their runs have its rights. They stay paused until a person
 * stores them again, with the rights of that person. A token that has expired pauses nothing.
 */
export class RevokedAuthors {
  readonly #options: RevokedAuthorsOptions;
  #timer: Timer | undefined;
  #pass: Promise<void> | undefined;

  constructor(options: RevokedAuthorsOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = this.#options.context.clock.every(checkMs, () => {
      this.#pass ??= this.#check().finally(() => {
        this.#pass = undefined;
      });
    });
  }

  async stop(): Promise<void> {
    this.#timer?.cancel();
    await this.#pass;
  }

  /** Never rejects. */
  async #check(): Promise<void> {
    const { context, revocations } = this.#options;
    if (revocations.size === 0) return;
    try {
      const revoked = (await authoredIn(context.database)).filter((each) => this.#isRevoked(each));
      for (const { kind, id } of revoked) await this.#pause(kind, id);
    } catch (error) {
      const level = tailraceErrorFrom(error).retryable ? 'debug' : 'error';
      context.logger[level]({ error }, 'schedules and triggers of revoked tokens cannot be paused, retrying');
    }
  }

  #isRevoked({ subject, tokenId, changedMs }: Pick<Authored, 'subject' | 'tokenId' | 'changedMs'>): boolean {
    // The token is older than the change: so a change before `issuedBefore` of a subject was by one that is revoked.
    return this.#options.revocations.revoked({
      ...{ subject, issuedAt: changedMs },
      ...(tokenId === '' ? {} : { tokenId }),
    });
  }

  async #pause(kind: Kind, id: string): Promise<void> {
    const { context } = this.#options;
    const isPaused = await act(context, async (transaction) => {
      const nowMs = context.clock.now();
      const stored = await (kind === 'schedule' ? lockSchedule : lockTrigger)(transaction, id);
      // Another process has paused it, or a person has stored it again.
      if (stored === undefined || !this.#isRevoked({ ...stored.requester, changedMs: stored.changedMs }))
        return { result: false, acts: [] };
      const version = stored.version + 1;
      const paused = { paused: true, pauseReason: reasonOf(stored.requester) };
      if ('fields' in stored) {
        if (stored.fields.pauseReason !== undefined) return { result: false, acts: [] };
        await storeTrigger(transaction, { ...stored, version, fields: { ...stored.fields, ...paused } });
      } else {
        if (stored.pauseReason !== undefined) return { result: false, acts: [] };
        const { next, queuedMs, ...rest } = stored;
        await storeSchedule(transaction, { ...rest, version, ...paused });
      }
      const { subject, tokenId } = stored.requester;
      const details = { version, reason: 'token_revoked', subject, tokenId };
      const actAbout = kind === 'schedule' ? scheduleAct : triggerAct;
      return { result: true, acts: [actAbout(controlItself, nowMs, `${kind}.paused`, id, details)] };
    });
    if (isPaused) context.logger.warn({ kind, id }, 'paused, because the token of its author was revoked');
  }
}

function reasonOf({ subject }: Requester): string {
  return `The token of ${subject}, whose rights its runs have, was revoked. Store it again with a valid token.`;
}

/** Resolves with the schedules and triggers that were not paused for their token. */
async function authoredIn(queryable: Queryable): Promise<readonly Authored[]> {
  const selectOf = (kind: Kind) =>
    `SELECT '${kind}' AS kind, id, requester ->> 'subject' AS subject, requester ->> 'tokenId' AS "tokenId",
        changed_ms AS "changedMs"
       FROM ${kind}s WHERE NOT fields ? 'pauseReason'`;
  return (await queryable.query<Authored>(`${selectOf('schedule')} UNION ALL ${selectOf('trigger')}`)).rows;
}
