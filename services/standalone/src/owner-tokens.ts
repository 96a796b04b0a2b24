import type { Clock } from '@tailrace/platform/clock';
import { issueToken } from '@tailrace/platform/token';

export interface OwnerTokens {
  /** All rights and roles. */
  readonly owner: string;
  /** Of a second person, with the subject `supervisor`: sees and commands all devices, and confirms for others. */
  readonly supervisor: string;
}

/** How long the tokens of an installation on one machine are valid. */
export const tokenDays = 30;

/**
 * Issues the tokens of the people of an installation on one machine, valid for 30 days. There are two, because
 * the person who has requested a marked command may not confirm it.
 */
export async function ownerTokens(options: {
  readonly secret: string;
  /** Subject of the first. */
  readonly owner: string;
  readonly clock: Clock;
}): Promise<OwnerTokens> {
  const { secret, owner, clock } = options;
  const shared = { secret, subscribe: ['>'], command: ['>'], expiresInMs: tokenDays * 24 * 3_600_000, clock };
  const roles = ['operator', 'engineer', 'supervisor', 'auditor'];
  return {
    owner: await issueToken({ ...shared, subject: owner, publish: ['>'], receiveCommands: ['>'], roles }),
    supervisor: await issueToken({ ...shared, subject: 'supervisor', publish: [], roles: ['operator', 'supervisor'] }),
  };
}
