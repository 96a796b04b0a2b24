import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '@tailrace/platform/log';
import type { WebServer, WebSocketBehavior } from '@tailrace/platform/webserver';
import { createFakeClock } from '@tailrace/testkit/fakeclock';
import { freeAccess, freeLimits } from '../../test/freeaccess.ts';
import { createLocalNode } from '../../test/localnode.ts';
import { noPlacement } from '../../test/noplacement.ts';
import { SessionCounts } from './sessioncounts.ts';
import { Sessions } from './sessions.ts';
import { StreamServer } from './streamserver.ts';

/** How the library is told to behave with these hearts. */
const socketLimits = { socketMarkBytes: 65_536, socketBytesMax: 1_048_576, repliesBytesMax: 65_536, lagMsMax: 30_000 };

function behaviorWith(heartbeatMs: number, pongDeadlineMs: number): WebSocketBehavior<unknown> {
  const clock = createFakeClock();
  let behavior: WebSocketBehavior<unknown> | undefined;
  const server = {
    app: {
      ws: (_path: string, given: WebSocketBehavior<unknown>) => {
        behavior = given;
      },
      any() {},
    },
    guarded: (handler: unknown) => handler,
  } as unknown as WebServer;
  const limits = {
    ...freeLimits,
    connectionsMax: 1,
    messageBytesMax: 1_024,
    ...socketLimits,
    heartbeatMs,
    pongDeadlineMs,
  };
  const node = createLocalNode();
  new StreamServer({
    server,
    sessions: new Sessions(clock, { ...limits, authDeadlineMs: 1_000 }),
    limits,
    session: {
      ...limits,
      hub: node.hub,
      work: node.work,
      placement: noPlacement(),
      verify: () => assert.fail(),
      now: () => 0,
      node: 'n',
      version: '0',
      subscriptionsMax: 1,
      viewsPerConnectionMax: 64,
      log: silentLog,
      counts: new SessionCounts(),
      access: freeAccess(),
    },
    clock,
    log: silentLog,
  });
  return behavior ?? assert.fail();
}

test('the library cuts an idle connection only long after its heart should have', () => {
  for (const [heartbeatMs, pongDeadlineMs] of [
    [2_000, 1_000],
    [30_000, 10_000],
    [600_000, 60_000],
  ] as const) {
    const { idleTimeout } = behaviorWith(heartbeatMs, pongDeadlineMs);
    assert.ok(idleTimeout! * 1_000 >= heartbeatMs + pongDeadlineMs + 30_000, `${idleTimeout} s`);
    // More than that it does not take.
    assert.ok(idleTimeout! <= 960);
  }
});
