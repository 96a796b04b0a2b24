import { RateLimit } from '@tailrace/platform/rate-limit';
import { Users } from '../src/access/users.ts';
import type { SessionAccess } from '../src/sessions/session.ts';

/** Access without limits. Tokens do not expire unless `watch` closes their sessions. */
export function freeAccess(watch: SessionAccess['watch'] = () => {}): SessionAccess {
  return {
    messageRate: new RateLimit(1e6, 1e6),
    users: new Users({
      userConnectionsMax: 1e6,
      userSubscriptionsMax: 1e6,
      userViewsMax: 1e6,
      viewsPerConnectionMax: 1e6,
    }),
    watch,
    overRate() {},
  };
}

/** Limits of handshakes and tokens that no test reaches. */
export const freeLimits = {
  addressConnectionsMax: 1e6,
  addressHandshakesPerSecondMax: 1e6,
  handshakesPerSecondMax: 1e6,
  origins: [],
  trustedProxies: [],
  expiryWarningMs: 60_000,
  tokenClockToleranceMs: 0,
} as const;
