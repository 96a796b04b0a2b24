import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRevocationList } from '@tailrace/platform/revocation';
import type { Claims } from '@tailrace/platform/token';
import { tailrace } from '@tailrace/protocol/generated';
import type { ServerMessage } from '@tailrace/protocol/servermessage';
import { createFakeClock } from '@tailrace/testkit/fakeclock';
import type { BroadcastContent } from '../broadcast/broadcastlog.ts';
import { Operators } from './operators.ts';

function arrangement() {
  const clock = createFakeClock({ nowMs: 1_700_000_000_000 });
  const revocations = createRevocationList({ clock });
  const sent: BroadcastContent[] = [];
  const told: ServerMessage[] = [];
  const looks: ((claims: Claims) => boolean)[] = [];
  const operators = new Operators({
    revocations,
    sessions: {
      endRevoked: (revoked) => looks.push(revoked),
      tell: (message) => void told.push(message),
    },
    clock,
    send: (content) => void sent.push(content),
  });
  const hear = (fields: tailrace.v1.IBroadcast) =>
    operators.heard(tailrace.v1.Broadcast.decode(tailrace.v1.Broadcast.encode(fields).finish()));
  return { clock, revocations, operators, sent, told, looks, hear };
}

test('a revocation holds here at once, goes to all, and every client is looked at soon after', async () => {
  const { clock, revocations, operators, sent, looks } = arrangement();
  operators.revoke({ tokenId: 't1', expiresAt: clock.now() + 1_000 });
  assert.ok(revocations.revoked({ subject: 's', tokenId: 't1' }));
  assert.deepEqual(sent, [{ revocations: { entries: [{ tokenId: 't1', expiresAt: clock.now() + 1_000 }] } }]);
  await clock.advance(50);
  assert.equal(looks.length, 1);
  assert.ok(looks[0]!({ subject: 's', tokenId: 't1', publish: [], subscribe: [] }));
});

test('many revocations at once cost one look at the clients, and those that are known cost none', async () => {
  const { clock, looks, hear } = arrangement();
  const entries = Array.from({ length: 100 }, (_, i) => ({ tokenId: `t${i}` }));
  for (const entry of entries) hear({ revocations: { entries: [entry] } });
  await clock.advance(1_000);
  assert.equal(looks.length, 1);
  hear({ revocations: { entries } });
  await clock.advance(1_000);
  assert.equal(looks.length, 1);
  assert.equal(clock.pending(), 0);
});

test('what another node says of a subject is what it meant, and nonsense is passed over', () => {
  const { clock, revocations, hear } = arrangement();
  hear({ revocations: { entries: [{ subject: 'anna', issuedBefore: clock.now() }, {}, { subject: '' }] } });
  assert.deepEqual(revocations.entries(), [{ subject: 'anna', issuedBefore: clock.now() }]);
  assert.equal(revocations.illFormed, 2);
});

test('a notice is shown here and sent to all; one from another node is shown unless it is long over', () => {
  const { clock, operators, sent, told, hear } = arrangement();
  operators.notify('critical', 'stop');
  const time = clock.now();
  assert.deepEqual(sent, [{ notice: { severity: 'critical', message: 'stop', time } }]);
  hear({ notice: { severity: 'info', message: 'go', time: time - 60_000 } });
  hear({ notice: { severity: 'info', message: 'old', time: time - 60_001 } });
  assert.deepEqual(told, [
    { notice: { severity: 'critical', message: 'stop', time } },
    { notice: { severity: 'info', message: 'go', time: time - 60_000 } },
  ]);
});

test('a notice that cannot be shown is refused, and goes nowhere', () => {
  const { operators, sent } = arrangement();
  for (const [severity, message] of [
    ['fatal', 'x'],
    ['info', ''],
    ['info', 'x'.repeat(1_001)],
  ] as const)
    assert.throws(() => operators.notify(severity, message), { code: 'invalid_message', message: /; right is / });
  assert.deepEqual(sent, []);
});

test('what Protobuf cannot carry to the other nodes is refused instead of acknowledged', () => {
  const { operators, revocations, sent, told } = arrangement();
  const refused = { code: 'invalid_message' } as const;
  assert.throws(() => operators.revoke({ subject: 'anna\ud800', issuedBefore: 1 }), refused);
  assert.throws(() => operators.revoke({ tokenId: '\udc00' }), refused);
  assert.throws(() => operators.notify('info', 'stop \ud800'), refused);
  assert.throws(() => operators.notify('info', 'stop\u0007'), refused);
  assert.deepEqual([revocations.size, sent.length, told.length], [0, 0, 0]);
});
