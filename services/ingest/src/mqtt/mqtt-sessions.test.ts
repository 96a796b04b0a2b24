import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SecondWheel } from '@tailrace/mqtt/one-second-wheel';
import type { ServerConnection } from '@tailrace/mqtt/server-connection';
import { SessionState } from '@tailrace/mqtt/session-state';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import type { TokenGrant } from '../admission.ts';
import { MqttSessions, type SessionOwner } from './mqtt-sessions.ts';

function fixture(storedMax?: number, bytesMax?: number) {
  const clock = createFakeClock();
  const wheel = new SecondWheel(clock);
  wheel.start();
  const sessions = new MqttSessions(clock, wheel, storedMax, bytesMax);
  const events: string[] = [];
  const connection = (clientId = 'c1', session = new SessionState()) =>
    ({ clientId, session, disconnect: () => events.push(`${clientId} disconnected`) }) as unknown as ServerConnection;
  const will = (name = 'will') => ({
    publish: () => void events.push(`${name} published`),
    discard: () => void events.push(`${name} discarded`),
  });
  return { clock, sessions, events, connection, will };
}

const owner = (identity = 'me', covers: (path: string) => boolean = () => false): SessionOwner => ({
  tenant: 'plant1',
  device: 'plant1.a',
  grant: { identity, allowsDevice: covers } as unknown as TokenGrant,
});

test('a stored session is resumed, until it expires', async () => {
  const { clock, sessions, connection } = fixture();
  const first = connection();
  assert.equal(sessions.open(first, owner(), false), undefined);
  sessions.close(first, owner(), 60, undefined, 0);
  await clock.advance(59_000);
  const second = connection();
  assert.equal(sessions.open(second, owner(), false), first.session);
  assert.equal(sessions.stored, 0);
  sessions.close(second, owner(), 60, undefined, 0);
  await clock.advance(62_000);
  assert.equal(sessions.stored, 0);
  assert.equal(sessions.open(connection(), owner(), false), undefined);
});

test('a clean start discards the session, and its will is due', () => {
  const { sessions, connection, events, will } = fixture();
  const first = connection();
  sessions.open(first, owner(), false);
  sessions.close(first, owner(), 60, will(), 30);
  assert.equal(sessions.open(connection(), owner(), true), undefined);
  assert.deepEqual(events, ['will published']);
});

test('wills that wait for their delay are published at the end of the server, and not of devices that are elsewhere', () => {
  const { sessions, connection, events, will } = fixture();
  for (const name of ['a', 'b']) {
    const client = connection(name);
    sessions.open(client, owner(), false);
    sessions.close(client, owner(), 60, will(name), 30);
  }
  let asked = 0;
  sessions.endWills(() => asked++ === 0);
  assert.deepEqual(events, ['a discarded', 'b published']);
  assert.equal(sessions.stored, 2);
  sessions.endWills(() => true);
  assert.deepEqual([asked, events.length], [2, 2]);
});

test('a will waits for its delay, and is discarded with a resume before it', async () => {
  const { clock, sessions, connection, events, will } = fixture();
  const open = () => {
    const opened = connection();
    sessions.open(opened, owner(), false);
    return opened;
  };
  sessions.close(open(), owner(), 60, will('first'), 10);
  await clock.advance(9_000);
  const second = open();
  await clock.advance(20_000);
  assert.deepEqual(events, ['first discarded']);
  sessions.close(second, owner(), 60, will('second'), 10);
  await clock.advance(12_000);
  assert.deepEqual(events.slice(1), ['second published']);
  // At once without a delay, and without a session that is stored.
  sessions.close(open(), owner(), 60, will('third'), 0);
  sessions.close(open(), owner(), 0, will('fourth'), 10);
  assert.deepEqual(events.slice(2), ['third published', 'fourth published']);
});

test('a newer connection disconnects the former one of its client ID', () => {
  const { sessions, connection, events } = fixture();
  sessions.open(connection(), owner(), false);
  sessions.open(connection(), owner(), false);
  sessions.open(connection('c2'), owner(), false);
  assert.deepEqual(events, ['c1 disconnected']);
});

test('another sender gets no session by its client ID, unless it covers the device', () => {
  const { sessions, connection } = fixture();
  sessions.open(connection(), owner('me'), false);
  assert.equal(sessions.isForeign('c1', owner('me')), false);
  assert.equal(sessions.isForeign('c1', owner('other')), true);
  assert.equal(
    sessions.isForeign(
      'c1',
      owner('other', () => true),
    ),
    false,
  );
  assert.equal(sessions.isForeign('c2', owner('other')), false);
  assert.equal(sessions.isForeign('c1', { ...owner('other'), tenant: 'plant2' }), false);
});

test('at the limit the session that was closed first is discarded', () => {
  const { sessions, connection } = fixture(2);
  for (const name of ['c1', 'c2', 'c3']) {
    const opened = connection(name);
    sessions.open(
      opened,
      owner(name, () => true),
      false,
    );
    sessions.close(opened, owner(name), 60, undefined, 0);
  }
  assert.deepEqual([sessions.stored, sessions.evicted], [2, 1]);
  assert.equal(sessions.open(connection('c1'), owner(), false), undefined);
  assert.notEqual(sessions.open(connection('c2'), owner(), false), undefined);
});

test('a sender with many client IDs loses its own sessions, and not those of others', () => {
  const { sessions, connection } = fixture(10);
  const store = (name: string, identity: string) => {
    const opened = connection(name);
    sessions.open(opened, owner(identity), false);
    sessions.close(opened, owner(identity), 60, undefined, 0);
    return opened.session;
  };
  const honest = store('honest', 'honest');
  for (let n = 0; n < 100; n++) store(`hostile${n}`, 'hostile');
  assert.deepEqual([sessions.stored, sessions.storedOfOne, sessions.evicted], [6, 5, 95]);
  assert.equal(sessions.open(connection('honest'), owner('honest'), false), honest);
  assert.notEqual(sessions.open(connection('hostile99'), owner('hostile'), false), undefined);
  assert.deepEqual([sessions.stored, sessions.storedOfOne], [4, 4]);
});

test('a session is not resumed by another device', () => {
  const { sessions, connection, events, will } = fixture();
  const first = connection();
  sessions.open(first, owner(), false);
  sessions.close(first, owner(), 60, will(), 30);
  assert.equal(sessions.open(connection(), { ...owner(), device: 'plant1.b' }, false), undefined);
  assert.deepEqual(events, ['will published'], 'its session is discarded');
});

test('sessions with many exchanges of QoS 2 count by their memory: a sender loses its own beyond half', () => {
  const { sessions, connection } = fixture(1_000, 100_000);
  const state = new SessionState();
  state.exchanges = new Map(
    Array.from({ length: 50 }, (_, n) => [
      n,
      { id: '', state: 'confirmed', by: undefined, of: undefined, isChecked: false },
    ]),
  );
  const store = (name: string, identity: string) => {
    const opened = connection(name, state);
    sessions.open(opened, owner(identity), false);
    sessions.close(opened, owner(identity), 60, undefined, 0);
  };
  store('honest', 'honest');
  for (let n = 0; n < 20; n++) store(`hostile${n}`, 'hostile');
  // 10,500 bytes each.
  assert.deepEqual([sessions.stored, sessions.bytes.used, sessions.bytes.mostOfOne()], [5, 52_500, 42_000]);
  assert.equal(sessions.open(connection('honest'), owner('honest'), false), state);
  assert.equal(sessions.bytes.used, 42_000);
});
