import { credentialSettings, proxySettings, revocationSettings } from '@tailrace/platform/settings';
import { z } from 'zod';

/** Part of `fanoutSettings`: limits of users, addresses and connections, origins, proxies, revocations, tokens. */
export const accessSettings = {
  userConnectionsMax: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(20_000)
    .describe(
      'Connections of one user (sub of the token) on this node; beyond it limit_reached and 1013. The default allows all clients of a node to share one token, as with a dashboard: set less if each person has a token.',
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
      'Different views of subtrees with maxRate, deadband, tags, delta or align of one user on this node; beyond it limit_reached. Each view processes every report of its subtree. Connections with equal options share one view. A user has at most viewsPerConnectionMax views of one channel.',
    ),
  addressConnectionsMax: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(20_000)
    .describe(
      'Connections of one address (of IPv6 a /64) on this node; beyond it 429. The default allows a whole site behind one address.',
    ),
  addressHandshakesPerSecondMax: z
    .number()
    .positive()
    .max(1_000_000)
    .default(1_000)
    .meta({ unit: 'handshakes' })
    .describe(
      'Handshakes of one address a second, with a burst of addressConnectionsMax because all may reconnect together; beyond it 429 with Retry-After.',
    ),
  handshakesPerSecondMax: z
    .number()
    .min(1)
    .max(1_000_000)
    .default(5_000)
    .meta({ unit: 'handshakes' })
    .describe(
      'Handshakes of this node a second, with a burst of twice that; beyond it 503 with a Retry-After that grows with the queue. So clients that are connected keep their share of the processor.',
    ),
  messagesPerSecondMax: z
    .number()
    .positive()
    .max(1_000_000)
    .default(50)
    .meta({ unit: 'messages' })
    .describe(
      'Messages, pings and pongs of one connection a second; beyond it 4429. The burst is 2 × (this + subscriptionsMax): all subscriptions right after the welcome, and once again.',
    ),
  origins: z
    .array(z.string().regex(/^(null|https?:\/\/[A-Za-z0-9.:[\]-]+)$/, 'https://host:port without a path'))
    .max(256)
    .default([])
    .describe(
      'Web pages whose scripts may connect, as https://host:port; others get 403. None: all. A request without an Origin header, as programs send it, is not checked.',
    ),
  ...proxySettings,
  expiryWarningMs: z
    .int()
    .min(0)
    .max(86_400_000)
    .default(60_000)
    .describe('How long before its token expires a client is notified, so that it can fetch a new one.'),
  ...revocationSettings,
  ...credentialSettings,
};
