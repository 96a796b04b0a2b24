import { rightsFrom } from '@tailrace/platform/access';
import type { Claims } from '@tailrace/platform/token';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { assertPattern } from '@tailrace/protocol/pattern';

/** What a client may see, by its token. */
export interface Grant {
  /** Epoch ms after which it no longer holds; infinite for none. */
  readonly expiresAt: number;
  /** Why this text, which nobody has looked at, is no channel that the client may see. */
  faultOf(channel: string): TailraceError | undefined;
}

type Granting = Pick<Claims, 'subscribe' | 'expiresAt'>;

/** Thousands of clients may share a token, and the verifier gives them the same claims: they share what is made of them, too. */
const grants = new WeakMap<Granting, Grant>();

export function grantFrom(claims: Granting): Grant {
  let grant = grants.get(claims);
  if (grant === undefined) {
    grant = createGrant(claims);
    grants.set(claims, grant);
  }
  return grant;
}

function createGrant({ subscribe, expiresAt }: Granting): Grant {
  const rights = rightsFrom(subscribe);
  return {
    expiresAt: expiresAt ?? Number.POSITIVE_INFINITY,
    faultOf(channel) {
      try {
        assertPattern(channel);
      } catch (thrown) {
        return thrown as TailraceError;
      }
      if (rights.allowsChannel(channel)) return undefined;
      return new TailraceError(
        'forbidden',
        `the token does not let you see ${shown(channel)}; it covers ${shown(subscribe)}`,
      );
    },
  };
}

/** Of a client whose token has not been looked at: nothing. */
export const noGrant: Grant = grantFrom({ subscribe: [] });
