import { rightsFrom } from '@tailrace/platform/access';
import type { Claims } from '@tailrace/platform/token';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { assertPattern } from '@tailrace/protocol/pattern';

/** The channels that a token allows. */
export interface Grant {
  /** When the token expires, epoch ms; infinite: never. */
  readonly expiresAt: number;
  /** Returns why the client may not subscribe to this text, which need not be a valid pattern; undefined: it may. */
  channelError(channel: string): TailraceError | undefined;
}

type GrantClaims = Pick<Claims, 'subscribe' | 'expiresAt'>;

/** Clients that share a token get the same claims object from the verifier, and so share one grant. */
const grants = new WeakMap<GrantClaims, Grant>();

export function grantFrom(claims: GrantClaims): Grant {
  let grant = grants.get(claims);
  if (grant === undefined) {
    grant = createGrant(claims);
    grants.set(claims, grant);
  }
  return grant;
}

function createGrant({ subscribe, expiresAt }: GrantClaims): Grant {
  const rights = rightsFrom(subscribe);
  return {
    expiresAt: expiresAt ?? Number.POSITIVE_INFINITY,
    channelError(channel) {
      try {
        assertPattern(channel);
      } catch (thrown) {
        return thrown as TailraceError;
      }
      if (rights.allowsChannel(channel)) return undefined;
      return new TailraceError(
        'forbidden',
        `channel: expected one that the token covers, ${shown(subscribe)}, got ${shown(channel)}`,
      );
    },
  };
}

/** Allows nothing: for a client whose token is not verified yet. */
export const noGrant: Grant = grantFrom({ subscribe: [] });
