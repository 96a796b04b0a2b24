import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLogger } from '@tailrace/platform/logger';
import type { Claims } from '@tailrace/platform/token';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { freeAccess, freeLimits } from '../../test/free-access.ts';
import { noPlacement } from '../../test/no-placement.ts';
import { workOn } from '../../test/work-limits.ts';
import { Session } from './session.ts';
import { SessionCounts } from './session-counts.ts';
import { Sessions, type SessionsLimits } from './sessions.ts';

const startMs = 1_700_000_000_000;

/** Creates sessions on a fake clock. Clients answer pings or not, and record what they were sent and when. */
function sessions(limits: Partial<SessionsLimits> = {}) {
  const clock = createFakeClock({ nowMs: startMs });
  const made: Sessions = new Sessions(clock, {
    ...freeLimits,
    heartbeatMs: 30_000,
    pongDeadlineMs: 10_000,
    authDeadlineMs: 10_000,
    ...limits,
  });
  made.start();
  const join = async (options: { answers?: boolean; token?: boolean; expiresAt?: number; subject?: string } = {}) => {
    const { answers = true, token = true, expiresAt, subject = 's' } = options;
    const seen: { atMs: number; what: string }[] = [];
    const note = (what: string) => seen.push({ atMs: clock.monotonic(), what });
    const socket = {
      isLost: false,
      watcher: undefined,
      sendData() {},
      whenWritable: () => undefined,
      setLagging() {},
      send: (frame: string | Uint8Array) => void note(Object.keys(JSON.parse(String(frame)))[0]!),
      ping() {
        note('ping');
        if (answers) made.onReceived(session);
      },
      join() {},
      leave() {},
      end(code: number) {
        note(`${code}`);
        // As the server's close handler does.
        made.remove(session);
        session.onClose();
      },
    };
    const claims: Claims = { subject, publish: [], subscribe: ['>'], ...(expiresAt ? { expiresAt } : {}) };
    const session: Session = new Session('s', 'json', socket, {
      hub: unusedHub,
      eventHub: unusedHub,
      control: { of: () => assert.fail() },
      work: workOn(clock),
      placement: noPlacement(),
      verify: async () => claims,
      now: () => clock.now(),
      node: 'n',
      version: '0',
      heartbeatMs: 30_000,
      messageBytesMax: 1_024,
      subscriptionsMax: 10,
      viewsPerConnectionMax: 64,
      logger: silentLogger,
      counts: new SessionCounts(),
      access: freeAccess((each) => made.watch(each)),
    });
    made.add(session);
    if (token) await session.authenticate('t');
    seen.length = 0;
    const times = (what: string) => seen.filter((each) => each.what === what).map(({ atMs }) => atMs);
    return { session, seen, times, onReceived: () => made.onReceived(session) };
  };
  return { clock, sessions: made, join };
}

const unusedHub = {
  subscribe: () => assert.fail(),
  unsubscribe() {},
  fallBehind: () => assert.fail(),
  pause: () => assert.fail(),
  resume: () => assert.fail(),
  position: () => assert.fail(),
};

test('each client is pinged once every heartbeat', async () => {
  const { clock, join } = sessions();
  const client = await join();
  await clock.advance(95_000);
  assert.deepEqual(client.times('ping'), [30_000, 60_000, 90_000]);
});

test('clients that come at different seconds are pinged at different seconds', async () => {
  const { clock, join } = sessions();
  const clients = [];
  for (let i = 0; i < 10; i++) {
    clients.push(await join());
    await clock.advance(1_000);
  }
  await clock.advance(30_000);
  assert.deepEqual(
    clients.map((client) => client.times('ping')[0]),
    Array.from({ length: 10 }, (_, i) => 30_000 + i * 1_000),
  );
});

test('a client that does not answer a ping is disconnected with 4001 at the pong deadline, and not before', async () => {
  const { clock, sessions: made, join } = sessions();
  const mute = await join({ answers: false });
  const alive = await join();
  await clock.advance(39_999);
  assert.deepEqual(mute.times('4001'), []);
  await clock.advance(1);
  assert.deepEqual(mute.times('4001'), [40_000]);
  await clock.advance(300_000);
  assert.equal(alive.session.state, 'open');
  assert.equal(made.size, 1);
});

test('anything that is received from the client after the ping counts as an answer', async () => {
  const { clock, join } = sessions();
  const client = await join({ answers: false });
  for (let i = 0; i < 5; i++) {
    await clock.advance(30_000);
    // The ping was sent; a message comes a second before the deadline.
    await clock.advance(9_000);
    client.onReceived();
    await clock.advance(1_000);
    assert.equal(client.session.state, 'open', `iteration ${i}`);
    await clock.advance(20_000);
    client.onReceived();
  }
});

test('what was received before the ping does not count as an answer', async () => {
  const { clock, join } = sessions();
  const client = await join({ answers: false });
  await clock.advance(29_000);
  client.onReceived();
  await clock.advance(11_000);
  assert.deepEqual(client.times('4001'), [40_000]);
});

test('a client without a token at the deadline is disconnected with 4408', async () => {
  const { clock, join } = sessions();
  const late = await join({ token: false });
  const slow = await join({ token: false });
  await clock.advance(9_000);
  await slow.session.authenticate('t');
  await clock.advance(20_000);
  assert.deepEqual(late.times('4408'), [10_000]);
  assert.equal(slow.session.state, 'open');
});

test('each client has its own deadline for the token', async () => {
  const { clock, join } = sessions();
  const first = await join({ token: false });
  await clock.advance(5_000);
  const second = await join({ token: false });
  await clock.advance(20_000);
  assert.deepEqual([first.times('4408'), second.times('4408')], [[10_000], [15_000]]);
});

test('a client is warned a minute before its token expires, and disconnected with 4401 within a second of its expiry', async () => {
  const { clock, join } = sessions();
  const client = await join({ expiresAt: startMs + 100_500 });
  const other = await join({ expiresAt: startMs + 3_600_000 });
  await clock.advance(100_999);
  assert.deepEqual(client.times('expiring'), [41_000]);
  assert.deepEqual(client.times('4401'), []);
  await clock.advance(1);
  assert.deepEqual(client.times('4401'), [101_000]);
  assert.equal(other.session.state, 'open');
  assert.deepEqual(other.times('expiring'), []);
});

test('clients whose token is revoked get an error and are disconnected with 4401, and no others', async () => {
  const { sessions: made, join } = sessions();
  const clients = [await join(), await join({ subject: 'anna' }), await join({ token: false })];
  assert.equal(
    made.endRevoked(({ subject }) => subject === 'anna'),
    1,
  );
  assert.deepEqual(
    clients.map(({ seen }) => seen.map(({ what }) => what)),
    [[], ['error', '4401'], []],
  );
  assert.equal(
    made.endRevoked(({ subject }) => subject === 'anna'),
    0,
  );
});

test('a message to all reaches every client that was welcomed', async () => {
  const { sessions: made, join } = sessions();
  const clients = [await join(), await join(), await join({ token: false })];
  made.broadcast({ notice: { severity: 'info', message: 'hello', time: startMs } });
  assert.deepEqual(
    clients.map(({ times }) => times('notice').length),
    [1, 1, 0],
  );
});

test('draining notifies every client first, then disconnects each at its own time in the second half of the span', async () => {
  const { clock, sessions: made, join } = sessions();
  const clients = [];
  for (let i = 0; i < 64; i++) clients.push(await join());
  let draw = 0;
  // Spread evenly, in random order.
  const drained = made.drain(6_400, () => ((draw++ * 37) % 64) / 64);
  for (const client of clients) assert.deepEqual(client.times('draining'), [0]);
  await clock.advance(6_400);
  await drained;
  const gone = clients.flatMap((client) => client.times('1012')).sort((a, b) => a - b);
  assert.deepEqual(
    gone,
    Array.from({ length: 64 }, (_, i) => 3_200 + i * 50),
  );
  assert.equal(made.size, 0);
});

test('draining does not wait for clients that left', async () => {
  const { clock, sessions: made, join } = sessions();
  await join();
  const leaving = await join();
  const draws = [0.1, 0.9];
  let isDrained = false;
  const drained = made
    .drain(5_000, () => draws.shift()!)
    .then(() => {
      isDrained = true;
    });
  leaving.session.onClose();
  made.remove(leaving.session);
  await clock.advance(2_750);
  assert.equal(isDrained, true);
  await drained;
  assert.deepEqual(leaving.times('1012'), []);
});

test('draining without clients resolves at once', async () => {
  await sessions().sessions.drain(5_000, () => 0.5);
});

test('stopping disconnects all clients at once, and leaves no timer', async () => {
  const { clock, sessions: made, join } = sessions();
  const clients = [await join(), await join({ token: false })];
  made.stop();
  for (const client of clients) assert.deepEqual(client.times('1012'), [0]);
  assert.equal(made.size, 0);
  assert.equal(clock.pending(), 0);
});

test('closed sessions are not kept', async () => {
  const { clock, sessions: made, join } = sessions();
  for (let i = 0; i < 50; i++) {
    const client = await join({ token: i % 2 === 0 });
    client.session.end({ code: 1012, reason: '' });
    await clock.advance(100);
  }
  assert.equal(made.size, 0);
});
