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

/** Sessions under a fake clock. A client answers pings or is mute, and keeps what it was sent and when. */
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
      lost: false,
      watcher: undefined,
      give() {},
      room: () => undefined,
      setLagging() {},
      send: (frame: string | Uint8Array) => void note(Object.keys(JSON.parse(String(frame)))[0]!),
      ping() {
        note('ping');
        if (answers) made.heard(session);
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
    return { session, seen, times, heard: () => made.heard(session) };
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

test('a client that does not answer a ping is let go with 4001 at the pong deadline, and not before', async () => {
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

test('anything that comes from the client after the ping is a sign of life', async () => {
  const { clock, join } = sessions();
  const client = await join({ answers: false });
  for (let i = 0; i < 5; i++) {
    await clock.advance(30_000);
    // The ping is out; a second before the deadline a message comes.
    await clock.advance(9_000);
    client.heard();
    await clock.advance(1_000);
    assert.equal(client.session.state, 'open', `round ${i}`);
    await clock.advance(20_000);
    client.heard();
  }
});

test('what came before the ping is no answer to it', async () => {
  const { clock, join } = sessions();
  const client = await join({ answers: false });
  await clock.advance(29_000);
  client.heard();
  await clock.advance(11_000);
  assert.deepEqual(client.times('4001'), [40_000]);
});

test('a client without a token in time is let go with 4408', async () => {
  const { clock, join } = sessions();
  const late = await join({ token: false });
  const slow = await join({ token: false });
  await clock.advance(9_000);
  await slow.session.authenticate('t');
  await clock.advance(20_000);
  assert.deepEqual(late.times('4408'), [10_000]);
  assert.equal(slow.session.state, 'open');
});

test('a client that comes while others are waited for has its own time for the token', async () => {
  const { clock, join } = sessions();
  const first = await join({ token: false });
  await clock.advance(5_000);
  const second = await join({ token: false });
  await clock.advance(20_000);
  assert.deepEqual([first.times('4408'), second.times('4408')], [[10_000], [15_000]]);
});

test('a client is told a minute before its token ends, and let go with 4401 within a second of the end', async () => {
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

test('clients whose token is revoked are told and let go with 4401, and nobody else', async () => {
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

test('a message to all reaches everybody who was welcomed', async () => {
  const { sessions: made, join } = sessions();
  const clients = [await join(), await join(), await join({ token: false })];
  made.tell({ notice: { severity: 'info', message: 'hello', time: startMs } });
  assert.deepEqual(
    clients.map(({ times }) => times('notice').length),
    [1, 1, 0],
  );
});

test('draining tells every client first, then lets each go at its own moment in the second half of the span', async () => {
  const { clock, sessions: made, join } = sessions();
  const clients = [];
  for (let i = 0; i < 64; i++) clients.push(await join());
  let draw = 0;
  // Spread evenly, in no order.
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

test('draining waits for nobody who has gone by himself', async () => {
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

test('draining without clients is done at once', async () => {
  await sessions().sessions.drain(5_000, () => 0.5);
});

test('stopping lets everybody go at once, and leaves no timer', async () => {
  const { clock, sessions: made, join } = sessions();
  const clients = [await join(), await join({ token: false })];
  made.stop();
  for (const client of clients) assert.deepEqual(client.times('1012'), [0]);
  assert.equal(made.size, 0);
  assert.equal(clock.pending(), 0);
});

test('sessions that ended are not kept', async () => {
  const { clock, sessions: made, join } = sessions();
  for (let i = 0; i < 50; i++) {
    const client = await join({ token: i % 2 === 0 });
    client.session.end({ code: 1012, reason: '' });
    await clock.advance(100);
  }
  assert.equal(made.size, 0);
});
