import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CommandSwitchState, Notice } from '@tailrace/eventlog/control-record';
import { createRevocationList, type RevocationEntry } from '@tailrace/platform/revocation';
import type { Claims } from '@tailrace/platform/token';
import { TailraceError } from '@tailrace/protocol/error';
import type { ServerMessage } from '@tailrace/protocol/server-message';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import { ControlActions, Operators } from './operators.ts';

function fixture() {
  const clock = createFakeClock({ nowMs: 1_700_000_000_000 });
  const revocations = createRevocationList({ clock });
  const appended: (RevocationEntry | Notice | CommandSwitchState)[] = [];
  const sent: ServerMessage[] = [];
  const checks: ((claims: Claims) => boolean)[] = [];
  const log = { error: undefined as TailraceError | undefined };
  const append = async (content: RevocationEntry | Notice | CommandSwitchState) => {
    if (log.error !== undefined) throw log.error;
    appended.push(content);
  };
  const actions = new ControlActions({
    revocations,
    sessions: {
      endRevoked: (revoked) => checks.push(revoked),
      broadcast: (message) => void sent.push(message),
    },
    clock,
  });
  const operators = new Operators({ clock, control: { revoke: append, notify: append, switchCommands: append } });
  return { clock, revocations, operators, actions, appended, sent, checks, log };
}

test('a revocation is appended to the control topic, and an append that fails is the error of the request', async () => {
  const { clock, operators, appended, revocations, log } = fixture();
  const entry = { tokenId: 't1', expiresAt: clock.now() + 1_000 };
  await operators.revoke(entry);
  assert.deepEqual(appended, [entry]);
  log.error = new TailraceError('unavailable', 'no broker', { retryable: true });
  await assert.rejects(operators.revoke({ tokenId: 't2' }), { code: 'unavailable', retryable: true });
  assert.equal(revocations.size, 0, 'a revocation is in force once it was read from the topic');
});

test('many revocations at once cost one check of the clients, and those that are known cost none', async () => {
  const { clock, actions, revocations, checks } = fixture();
  const entries = Array.from({ length: 100 }, (_, i) => ({ tokenId: `t${i}` }));
  for (const entry of entries) actions.onRevocations([entry]);
  await clock.advance(50);
  assert.equal(checks.length, 1);
  assert.ok(checks[0]!({ subject: 's', tokenId: 't1', publish: [], subscribe: [] }));
  actions.onRevocations(entries);
  await clock.advance(1_000);
  assert.equal(checks.length, 1);
  assert.equal(clock.pending(), 0);
  assert.equal(revocations.size, 100);
});

test('invalid revocations in the topic are skipped and counted', () => {
  const { clock, actions, revocations } = fixture();
  actions.onRevocations([
    { subject: 'anna', issuedBefore: clock.now() },
    { subject: '', issuedBefore: Number.NaN },
    { subject: '', issuedBefore: 1 },
  ]);
  assert.deepEqual(revocations.entries(), [{ subject: 'anna', issuedBefore: clock.now() }]);
  assert.equal(revocations.illFormed, 2);
});

test('a notice goes to the clients when it is read from the topic, unless it is older than a minute', async () => {
  const { clock, operators, actions, appended, sent } = fixture();
  await operators.notify('critical', 'stop');
  const time = clock.now();
  assert.deepEqual([appended, sent], [[{ severity: 'critical', message: 'stop', time }], []]);
  actions.onNotice({ severity: 'info', message: 'go', time: time - 60_000 });
  actions.onNotice({ severity: 'info', message: 'old', time: time - 60_001 });
  assert.deepEqual(sent, [{ notice: { severity: 'info', message: 'go', time: time - 60_000 } }]);
});

test('an invalid notice is refused, and not appended', async () => {
  const { operators, appended } = fixture();
  for (const [severity, message] of [
    ['fatal', 'x'],
    ['info', ''],
    ['info', 'x'.repeat(1_001)],
  ] as const)
    await assert.rejects(operators.notify(severity, message), {
      code: 'invalid_message',
      message: /: expected .*, got /,
    });
  assert.deepEqual(appended, []);
});

test('text that Protobuf cannot encode is refused instead of acknowledged', async () => {
  const { operators, appended } = fixture();
  const refused = { code: 'invalid_message' } as const;
  await assert.rejects(operators.revoke({ subject: 'anna\ud800', issuedBefore: 1 }), refused);
  await assert.rejects(operators.revoke({ tokenId: '\udc00' }), refused);
  await assert.rejects(operators.notify('info', 'stop \ud800'), refused);
  await assert.rejects(operators.notify('info', 'stop\u0007'), refused);
  assert.deepEqual(appended, []);
});

test('commands are turned off and on by a record with the operator and the time, and invalid requests by none', async () => {
  const { clock, operators, actions, appended, log } = fixture();
  await operators.switchCommands('off', 'fire drill', 'anna');
  await operators.switchCommands('on', '', 'ben');
  const time = clock.now();
  assert.deepEqual(appended, [
    { isOff: true, reason: 'fire drill', by: 'anna', time },
    { isOff: false, reason: '', by: 'ben', time },
  ]);
  const invalid = { code: 'invalid_message', message: /expected .*, got / } as const;
  await assert.rejects(operators.switchCommands('OFF', '', 'anna'), invalid);
  await assert.rejects(operators.switchCommands('off', 'x'.repeat(201), 'anna'), invalid);
  await assert.rejects(operators.switchCommands('off', 'a\u0007', 'anna'), invalid);
  log.error = new TailraceError('unavailable', 'no broker', { retryable: true });
  await assert.rejects(operators.switchCommands('off', '', 'anna'), { code: 'unavailable' });
  assert.equal(appended.length, 2);
  assert.equal(actions.commandSwitch, undefined, 'it is in force once it was read from the topic');
});
