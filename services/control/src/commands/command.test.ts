import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CommandOutcome } from '@tailrace/protocol/device-command';
import fc from 'fast-check';
import { type Command, type CommandEvent, changed, isReplaced, nextOf } from './command.ts';

const accepted: Command = {
  ...{ id: 'c1', position: 1, sender: 'anna', key: 'k1', device: 'plant1.press7', via: '', name: 'set' },
  ...{ params: { speed: 12 }, qos: 1, deadline: 10_000, accepted: 0, fence: 0, replaces: false, traceparent: '' },
  ...{ onlyIf: '', seen: {} },
  ...{ approver: '', state: 'accepted', awaits: '', isFinal: false, number: 1, changed: 0, code: '', message: '' },
  ...{ confirmedBy: '', before: undefined, after: undefined, isRequested: false, node: '', cancelBy: '' },
};

function outcome(state: CommandOutcome['state'], fields: Partial<CommandOutcome> = {}): CommandEvent {
  const { id, device } = accepted;
  const all = { id, device, state, time: 1, node: 'n1', session: 5, attempt: 1, message: '', holder: '', ...fields };
  return { kind: 'outcome', outcome: all };
}

const unsent = (fields: Partial<CommandOutcome>) => outcome('failed', { session: 0, attempt: 0, ...fields });

/** As the store does before a request. */
const requested = (command: Command, node = 'n1'): Command => ({ ...command, isRequested: true, node });

function after(command: Command, ...events: CommandEvent[]): Command {
  return events.reduce((now, event) => {
    const change = nextOf(now, event);
    return change === undefined ? now : changed(now, change, now.changed + 1);
  }, command);
}

test('a command goes through its states to done, with what has confirmed it', () => {
  const done = outcome('done', { confirmedBy: 'read_back', before: 10, after: 12 });
  const command = after(requested(accepted), outcome('accepted'), outcome('delivered'), done);
  const { state, isFinal, number, confirmedBy, before, after: value } = command;
  assert.deepEqual(
    { state, isFinal, number, confirmedBy, before, value },
    {
      ...{ state: 'done', isFinal: true, number: 4, confirmedBy: 'read_back', before: 10, value: 12 },
    },
  );
});

test('an outcome that comes late does not go back', () => {
  const delivered = after(requested(accepted), outcome('delivered'));
  assert.equal(nextOf(delivered, outcome('accepted')), undefined);
  assert.equal(nextOf(delivered, outcome('delivered')), undefined);
  const unconfirmed = after(delivered, outcome('unconfirmed'));
  assert.equal(nextOf(unconfirmed, outcome('delivered')), undefined);
});

test('a command that waits for a second person is neither queued nor sent, and expires', () => {
  const waiting: Command = { ...accepted, awaits: 'confirmation' };
  assert.equal(nextOf(waiting, { kind: 'device_away', message: '' }), undefined);
  assert.equal(after(waiting, { kind: 'confirmed' }).state, 'queued');
  assert.equal(after(waiting, { kind: 'deadline_passed', message: '' }).state, 'expired');
  assert.equal(nextOf(accepted, { kind: 'confirmed' }), undefined);
});

test('a command for a device that is away is queued once, and never delivered', () => {
  const queued = after(accepted, { kind: 'device_away', message: 'away' }, { kind: 'device_away', message: 'away' });
  assert.deepEqual([queued.state, queued.awaits, queued.number], ['queued', 'device', 2]);
});

test('a command that a node has provably not sent is queued again, and may be requested again', () => {
  const sent = after(requested(accepted), outcome('accepted'));
  const again = after(sent, unsent({ code: 'unavailable', message: 'its session was lost' }));
  assert.deepEqual([again.state, again.awaits, again.isRequested], ['queued', 'device', false]);
  const moved = after(requested(accepted), unsent({ code: 'conflict', holder: 'n2' }));
  assert.deepEqual([moved.state, moved.awaits, moved.isRequested], ['queued', '', false]);
  // Received twice.
  assert.equal(nextOf(again, unsent({ code: 'unavailable' })), undefined);
});

test('a refusal that does not pass is final', () => {
  for (const code of ['forbidden', 'invalid_message'] as const)
    assert.equal(after(requested(accepted), unsent({ code })).state, 'failed');
  // A fence that is too low.
  assert.equal(after(requested(accepted), unsent({ code: 'conflict' })).state, 'failed');
  assert.equal(after(requested(accepted), outcome('failed', { code: 'unavailable' })).state, 'failed');
});

test('a command that may have been sent is not canceled, and does not expire here', () => {
  const sent = after(requested(accepted), outcome('accepted'));
  for (const kind of ['canceled', 'deadline_passed'] as const) {
    assert.equal(nextOf(requested(accepted), { kind, message: '' }), undefined);
    assert.equal(nextOf(sent, { kind, message: '' }), undefined);
  }
  assert.equal(after(sent, unsent({ code: 'canceled' })).state, 'canceled');
  assert.equal(after(accepted, { kind: 'canceled', message: '' }).state, 'canceled');
});

test('unconfirmed is final only when the time for an outcome has passed', () => {
  const lost = after(requested(accepted), { kind: 'lost', message: 'no node knows it' });
  assert.deepEqual([lost.state, lost.awaits, lost.isFinal], ['unconfirmed', 'outcome', false]);
  assert.equal(after(lost, outcome('done')).state, 'done');
  const final = after(lost, { kind: 'unresolved' });
  assert.deepEqual(
    [final.state, final.awaits, final.isFinal, final.message],
    [...['unconfirmed', '', true, 'no node knows it']],
  );
  assert.equal(nextOf(final, outcome('done')), undefined);
  // Nothing is lost that was not requested.
  assert.equal(nextOf(accepted, { kind: 'lost', message: '' }), undefined);
});

test('a newer set point replaces an earlier one that was not sent', () => {
  assert.ok(isReplaced(accepted, { ...accepted, params: { speed: 20 } }));
  assert.ok(!isReplaced(requested(accepted), accepted));
  assert.ok(!isReplaced(accepted, { ...accepted, params: { pressure: 20 } }));
  assert.ok(!isReplaced(accepted, { ...accepted, device: 'plant1.press8' }));
});

test('whatever happens in whichever order, a command is final at most once, and numbers rise by one', () => {
  const states = ['accepted', 'delivered', 'done', 'failed', 'expired', 'unconfirmed'] as const;
  const events = fc.oneof(
    fc.constantFrom<CommandEvent>(
      { kind: 'confirmed' },
      { kind: 'device_away', message: '' },
      { kind: 'canceled', message: '' },
      { kind: 'deadline_passed', message: '' },
      { kind: 'refused', code: 'conflict', message: '' },
      { kind: 'lost', message: '' },
      { kind: 'unresolved' },
      unsent({ code: 'unavailable' }),
      unsent({ code: 'canceled' }),
    ),
    fc.constantFrom(...states).map((state) => outcome(state)),
    fc.constant('request' as const),
  );
  fc.assert(
    fc.property(fc.array(events, { maxLength: 30 }), fc.boolean(), (happened, isMarked) => {
      let command: Command = { ...accepted, awaits: isMarked ? 'confirmation' : '' };
      let finals = 0;
      let mayHaveBeenSent = false;
      for (const event of happened) {
        if (event === 'request') {
          if (command.isRequested || command.isFinal || command.awaits === 'confirmation') continue;
          // At most once by ID: only if no node may have sent it.
          assert.ok(!mayHaveBeenSent);
          command = requested(command);
          mayHaveBeenSent = true;
          continue;
        }
        const change = nextOf(command, event);
        if (change === undefined) continue;
        const next = changed(command, change, command.changed + 1);
        assert.equal(next.number, command.number + 1);
        assert.ok(!command.isFinal);
        if (next.isFinal) finals++;
        if (event.kind === 'outcome' && event.outcome.attempt === 0 && event.outcome.session === 0)
          mayHaveBeenSent = false;
        command = next;
      }
      assert.ok(finals <= 1);
    }),
  );
});
