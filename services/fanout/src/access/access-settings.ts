import { proxySettings, revocationSettings } from '@tailrace/platform/settings';
import { z } from 'zod';

/** Of `fanoutSettings`: who is let in, and how much of the node anybody may have. */
export const accessSettings = {
  userConnectionsMax: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(20_000)
    .describe(
      'Connections of one user (sub of the token) on this node; beyond it limit_reached and 1013. The default lets a token that all share, as of a dashboard, have the node to itself: set less where each person has a token.',
    ),
  userSubscriptionsMax: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(100_000)
    .describe('Subscriptions of one user on this node, all connections together; beyond it limit_reached.'),
  userViewsMax: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(256)
    .describe(
      'Different views of subtrees with maxRate, deadband, tags, delta or align of one user on this node; beyond it limit_reached. Each looks at every report of its subtree. Connections that ask for the same share one. Of one channel a user has at most viewsPerConnectionMax.',
    ),
  addressConnectionsMax: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(20_000)
    .describe(
      'Connections of one address (of IPv6 a /64) on this node; beyond it 429. The default is for a whole site behind one address.',
    ),
  addressHandshakesPerSecondMax: z
    .number()
    .positive()
    .max(1_000_000)
    .default(1_000)
    .meta({ unit: 'handshakes' })
    .describe(
      'Handshakes of one address a second, and addressConnectionsMax at once, since all may come back together; beyond it 429 with Retry-After.',
    ),
  handshakesPerSecondMax: z
    .number()
    .min(1)
    .max(1_000_000)
    .default(5_000)
    .meta({ unit: 'handshakes' })
    .describe(
      'Handshakes of this node a second, and twice that at once; beyond it 503 with a Retry-After that grows with the queue. Those who are connected keep their share of the processor.',
    ),
  messagesPerSecondMax: z
    .number()
    .positive()
    .max(1_000_000)
    .default(50)
    .meta({ unit: 'messages' })
    .describe(
      'Messages, pings and pongs of one connection a second; beyond it 4429. At once it may send 2 × (this + subscriptionsMax): all its subscriptions right after the welcome, and a change of mind.',
    ),
  origins: z
    .array(z.string().regex(/^(null|https?:\/\/[A-Za-z0-9.:[\]-]+)$/, 'https://host:port without a path'))
    .max(256)
    .default([])
    .describe(
      'Web pages whose scripts may connect, as https://host:port; others get 403. None: all. Programs send no Origin, and are not asked.',
    ),
  ...proxySettings,
  expiryWarningMs: z
    .int()
    .min(0)
    .max(86_400_000)
    .default(60_000)
    .describe('A client is told this long before its token ends, so that it can fetch a fresh one.'),
  ...revocationSettings,
};
