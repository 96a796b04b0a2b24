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

export function grantFrom({ subscribe, expiresAt }: Pick<Claims, 'subscribe' | 'expiresAt'>): Grant {
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
