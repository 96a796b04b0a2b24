import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AlarmDevice, device, lineOf, rule, start } from '../test/alarm-device.ts';
import { DeviceAlarms } from './device-alarms.ts';

const delayed = { onDelayMs: 10_000, offDelayMs: 5_000 };

test('an alarm is raised at its limit, and returns below it', () => {
  const oven = new AlarmDevice(rule());
  assert.deepEqual(oven.report(0, { temp: 79 }), []);
  assert.deepEqual(oven.report(1, { temp: 80 }), ['hot raised → unacknowledged H at 1']);
  assert.deepEqual(oven.report(2, { temp: 85 }), []);
  assert.equal(oven.last.value, 80);
  assert.equal(oven.last.limitValue, 80);
  assert.equal(oven.last.seq, 1);
  assert.deepEqual(oven.report(3, { temp: 79.9 }), ['hot returned → returned_unacknowledged H at 3']);
  assert.deepEqual(oven.act(4, 'acknowledge'), ['hot acknowledged → normal H at 4']);
});

test('a value beyond two limits at once raises one alarm', () => {
  const limits = { H: { value: 80 }, HH: { value: 90, priority: 1 } };
  const oven = new AlarmDevice(rule({ condition: { kind: 'limits', tag: 'temp', limits } }));
  assert.deepEqual(oven.report(0, { temp: 95 }), ['hot raised → unacknowledged HH at 0']);
  assert.equal(oven.last.priority, 1);
  const { alarm } = oven.last;
  assert.deepEqual(oven.report(1, { temp: 85 }), ['hot limit_changed → unacknowledged H at 1']);
  assert.equal(oven.last.alarm, alarm);
  oven.act(2, 'acknowledge');
  assert.deepEqual(oven.report(3, { temp: 91 }), ['hot limit_changed → unacknowledged HH at 3']);
});

test('two reports a few ms apart raise one alarm, also if a restart is between them', () => {
  const oven = new AlarmDevice(rule());
  assert.equal(oven.report(0, { temp: 81 }).length, 1);
  oven.restart();
  assert.deepEqual(oven.report(3, { temp: 81 }), []);
});

test('reports that are sent again, since their acknowledgement was lost, raise nothing again', () => {
  for (const clock of ['ingest', 'ahead', undefined] as const) {
    const oven = new AlarmDevice(rule());
    // In `ahead` the time of the device counts as that of ingest, as a missing one does.
    const send = (atMs: number, id: string, temp: number, sentMs = atMs) => {
      const received = start + atMs;
      const time = { ingest: received, ahead: start + 3_600_000 + sentMs, none: start + sentMs }[clock ?? 'none'];
      return oven.report(atMs, { temp }, { received, time, id, ...(clock && { clock }) });
    };
    assert.equal(send(0, 'a', 90).length, 1);
    assert.equal(send(100, 'b', 70).length, 1);
    assert.deepEqual(send(2_000, 'a', 90, 0), []);
    oven.restart();
    assert.deepEqual(send(2_100, 'a', 90, 0), []);
    // Another alarm, and an ID that a device uses again after the window of message IDs.
    assert.equal(send(3_000, 'c', 90).length, 1);
    assert.equal(send(130_000, 'b', 70).length, 1);
  }
});

test('of message IDs, the newest 64 are remembered', () => {
  const oven = new AlarmDevice(rule());
  const send = (atMs: number, id: number) => oven.report(atMs, { temp: 70 }, { id: String(id), clock: 'ingest' });
  for (let id = 0; id < 65; id++) send(id, id);
  assert.equal(oven.alarms.state().ids?.length, 64);
  send(100, 1);
  send(101, 0);
  assert.equal(oven.alarms.state().seq, 66);
  assert.deepEqual(oven.alarms.state().ids?.slice(-2), [
    ['1', start + 100],
    ['0', start + 101],
  ]);
});

test('no alarm is raised before its delay', () => {
  const oven = new AlarmDevice(rule(delayed));
  assert.deepEqual(oven.report(0, { temp: 81 }), []);
  assert.deepEqual(oven.report(9_999, { temp: 81 }), []);
  // The report that shows the value below the limit was on its way for 400 ms when the delay had passed.
  assert.deepEqual(oven.advance(10_400), []);
  assert.deepEqual(oven.report(9_999.5, { temp: 79 }, { received: start + 10_400 }), []);
  assert.deepEqual(oven.advance(60_000), []);
});

test('a delay is in event time: a later report proves it, and a device that does not report the watermark', () => {
  const oven = new AlarmDevice(rule(delayed));
  oven.report(0, { temp: 81 }, { received: start + 50_000 });
  assert.deepEqual(oven.report(20_000, { temp: 81 }, { received: start + 50_001 }), [
    'hot raised → unacknowledged H at 10000',
  ]);
  oven.report(21_000, { temp: 70 }, { received: start + 50_002 });
  assert.equal(oven.alarms.nextDueMs(), start + 55_502);
  assert.deepEqual(oven.advance(55_501), []);
  assert.deepEqual(oven.advance(55_502), ['hot returned → returned_unacknowledged H at 26000']);
});

test('the result is the same if the watermark advances late', () => {
  const reports = (oven: AlarmDevice, isLate: boolean) => {
    const lines = [...oven.report(0, { temp: 81 })];
    if (!isLate) lines.push(...oven.advance(30_000));
    lines.push(...oven.report(30_000, { temp: 70 }));
    lines.push(...oven.advance(100_000));
    return lines;
  };
  const early = reports(new AlarmDevice(rule(delayed)), false);
  assert.deepEqual(early, [
    'hot raised → unacknowledged H at 10000',
    'hot returned → returned_unacknowledged H at 35000',
  ]);
  assert.deepEqual(reports(new AlarmDevice(rule(delayed)), true), early);
});

test('a pending delay survives a restart', () => {
  const oven = new AlarmDevice(rule(delayed));
  oven.report(0, { temp: 81 });
  oven.restart();
  assert.equal(oven.alarms.nextDueMs(), start + 10_500);
  assert.deepEqual(oven.advance(10_500), ['hot raised → unacknowledged H at 10000']);
});

test('a value that flaps at the limit does not raise one alarm after the other', () => {
  const limits = { H: { value: 80, hysteresis: 2 } };
  const oven = new AlarmDevice(rule({ condition: { kind: 'limits', tag: 'temp', limits } }));
  for (let at = 0; at < 100; at += 2) {
    oven.report(at, { temp: 80.1 });
    oven.report(at + 1, { temp: 79.9 });
  }
  assert.equal(oven.written.length, 1);
  assert.equal(oven.report(200, { temp: 77.9 }).length, 1);
});

test('an unknown value is not below a limit', () => {
  const limits = { L: { value: 10 } };
  const oven = new AlarmDevice(rule({ condition: { kind: 'limits', tag: 'temp', limits } }));
  const bad = (value: number) => ({ readings: [{ tag: 'temp', value, quality: 'bad' as const }] });
  assert.deepEqual(oven.report(0, {}, bad(0)), []);
  assert.deepEqual(oven.report(1, { temp: 'off' }), []);
  assert.deepEqual(oven.report(2, { other: 0 }), []);
  assert.equal(oven.report(3, { temp: 9 }).length, 1);
  assert.deepEqual(oven.report(4, {}, bad(50)), [], 'a bad value is no return');
});

test('late and historical readings raise nothing', () => {
  const oven = new AlarmDevice(rule());
  oven.report(10, { temp: 20 });
  assert.deepEqual(oven.report(5, { temp: 99 }), []);
  assert.deepEqual(oven.report(11, { temp: 99 }, { historical: true }), []);
});

test('each time in the report of a gateway is evaluated', () => {
  const oven = new AlarmDevice(rule());
  const readings = [70, 90, 60].map((value, index) => ({ tag: 'temp', value, time: start + index }));
  assert.deepEqual(oven.report(2, {}, { readings: [readings[2]!, readings[0]!, readings[1]!] }), [
    'hot raised → unacknowledged H at 1',
    'hot returned → returned_unacknowledged H at 2',
  ]);
});

test('a shelf has its limit in time, also without reports and over a restart', () => {
  const oven = new AlarmDevice(rule());
  oven.report(0, { temp: 81 });
  assert.match(oven.act(1, 'shelve', { note: 'repair' })[0]!, /refused invalid_message: shelve: expected a time of/);
  assert.match(oven.act(1, 'shelve', { until: start + 100 })[0]!, /refused invalid_message: shelve: expected a note/);
  assert.match(
    oven.act(1, 'shelve', { note: 'repair', until: start + 9e9 })[0]!,
    /expected a time of at most 86400000/,
  );
  assert.deepEqual(oven.act(1, 'shelve', { note: 'repair', until: start + 100 }), ['hot shelved → shelved H at 1']);
  oven.restart();
  assert.equal(oven.alarms.nextDueMs(), start + 100);
  assert.deepEqual(oven.advance(99), []);
  assert.deepEqual(oven.advance(5_000), ['hot shelf_expired → unacknowledged H at 100']);
});

test('an alarm that a person unshelves is acknowledged, and what has gone meanwhile is normal', () => {
  const oven = new AlarmDevice(rule());
  oven.report(0, { temp: 81 });
  const shelf = { note: 'repair', until: start + 100 };
  oven.act(1, 'shelve', shelf);
  assert.deepEqual(oven.act(2, 'unshelve'), ['hot unshelved → acknowledged H at 2']);
  oven.act(3, 'shelve', shelf);
  assert.deepEqual(oven.report(4, { temp: 70 }), []);
  assert.deepEqual(oven.act(5, 'unshelve'), ['hot unshelved → normal H at 5']);
});

test('an acknowledgement of an alarm that has changed meanwhile is refused', () => {
  const oven = new AlarmDevice(rule());
  oven.report(0, { temp: 81 });
  const seen = oven.last;
  oven.report(1, { temp: 70 });
  oven.report(2, { temp: 90 });
  assert.match(
    oven.act(3, 'acknowledge', { alarm: seen.alarm })[0]!,
    /hot refused conflict: acknowledge: expected the present alarm/,
  );
  assert.match(
    oven.act(3, 'acknowledge', { number: seen.number })[0]!,
    /refused conflict: acknowledge: expected the last transition 3 of the alarm, got 1/,
  );
  const { alarm, number } = oven.last;
  assert.deepEqual(oven.act(4, 'acknowledge', { alarm, number }), ['hot acknowledged → acknowledged H at 4']);
  assert.match(
    oven.act(5, 'acknowledge', { alarm })[0]!,
    /expected an alarm that is unacknowledged .* got acknowledged/,
  );
});

test('an action that is read twice is applied once', () => {
  const oven = new AlarmDevice(rule());
  oven.report(0, { temp: 81 });
  assert.equal(oven.act(1, 'acknowledge', { id: 'x' }).length, 1);
  assert.deepEqual(oven.act(1, 'acknowledge', { id: 'x' }), []);
  oven.restart();
  assert.deepEqual(oven.act(1, 'acknowledge', { id: 'x' }), []);
  assert.match(
    oven.act(1, 'reset', { rule: 'none' })[0]!,
    /none refused not_found: rule: expected a rule of the device/,
  );
});

test('a latched alarm stays until a person resets it', () => {
  const oven = new AlarmDevice(rule({ latched: true }));
  oven.report(0, { temp: 81 });
  oven.report(1, { temp: 70 });
  assert.match(oven.act(2, 'reset')[0]!, /refused conflict: reset: expected an alarm that is latched, got returned_un/);
  assert.deepEqual(oven.act(3, 'acknowledge'), ['hot acknowledged → latched H at 3']);
  assert.deepEqual(oven.report(4, { temp: 85 }), ['hot raised → unacknowledged H at 4']);
  oven.act(5, 'acknowledge');
  assert.deepEqual(oven.report(6, { temp: 70 }), ['hot returned → latched H at 6']);
  assert.deepEqual(oven.act(7, 'reset'), ['hot reset → normal H at 7']);
});

test('a class may require a note, and two people', () => {
  const oven = new AlarmDevice(rule({ class: { name: 'safety', noteRequired: true, twoStep: true } }));
  oven.report(0, { temp: 81 });
  assert.match(oven.act(1, 'acknowledge')[0]!, /refused invalid_message: acknowledge: expected a note/);
  const note = 'checked';
  assert.deepEqual(oven.act(2, 'acknowledge', { note }), ['hot acknowledged → unacknowledged H at 2']);
  assert.match(oven.act(3, 'acknowledge', { note })[0]!, /expected a second person, got anna again/);
  assert.deepEqual(oven.act(4, 'acknowledge', { note, by: 'ben' }), ['hot acknowledged → acknowledged H at 4']);
  assert.equal(oven.last.alarmClass, 'safety');
});

test('one person alone does not acknowledge an alarm of two steps by a shelf', () => {
  const oven = new AlarmDevice(rule({ class: { name: 'safety', twoStep: true } }));
  const shelf = { note: 'noise', until: start + 60_000 };
  oven.report(0, { temp: 81 });
  oven.act(1, 'shelve', shelf);
  assert.deepEqual(oven.act(2, 'unshelve'), ['hot unshelved → unacknowledged H at 2']);
  oven.report(3, { temp: 20 });
  oven.act(4, 'shelve', shelf);
  assert.deepEqual(oven.act(5, 'unshelve'), ['hot unshelved → returned_unacknowledged H at 5']);
});

test('an alarm out of service is not shown, and is unacknowledged when it is back', () => {
  const oven = new AlarmDevice(rule());
  assert.match(oven.act(0, 'remove_from_service')[0]!, /expected a note/);
  assert.deepEqual(oven.act(1, 'remove_from_service', { note: 'broken sensor' }), [
    'hot removed_from_service → out_of_service at 1',
  ]);
  assert.deepEqual(oven.report(2, { temp: 81 }), []);
  assert.deepEqual(oven.act(3, 'return_to_service'), ['hot returned_to_service → unacknowledged H at 3']);
});

test('an alarm is suppressed while another one is active, and shown afterwards', () => {
  const trip = rule({ id: 'trip', condition: { kind: 'state', tag: 'running', in: [false] } });
  const oven = new AlarmDevice(rule({ inhibition: { alarms: ['trip'], releaseDelayMs: 100 } }), trip);
  assert.deepEqual(oven.report(0, { temp: 81, running: false }), [
    'hot suppressed → suppressed H at 0',
    'trip raised → unacknowledged at 0',
  ]);
  assert.deepEqual(oven.report(1, { running: true }), ['trip returned → returned_unacknowledged at 1']);
  assert.deepEqual(oven.report(101, { running: true }), ['hot unsuppressed → unacknowledged H at 101']);
});

test('a state or an expression suppresses an alarm', () => {
  const inhibition = { states: [{ tag: 'mode', in: ['service'] }], expression: 'load < 10.0' };
  const oven = new AlarmDevice(rule({ inhibition }));
  oven.report(0, { mode: 'auto', load: 50 });
  assert.deepEqual(oven.report(1, { mode: 'service' }), ['hot suppressed → suppressed at 1']);
  assert.deepEqual(oven.report(2, { temp: 90 }), []);
  assert.deepEqual(oven.report(3, { mode: 'auto', load: 5, temp: 20 }), []);
  assert.deepEqual(oven.report(4, { load: 20 }), ['hot unsuppressed → normal H at 4']);
});

test('the first alarm of a group is marked', () => {
  const group = 'trip';
  const high = rule({ id: 'high', group });
  const off = rule({ id: 'off', group, condition: { kind: 'state', tag: 'running', in: [false] } });
  const oven = new AlarmDevice(high, off);
  oven.report(0, { running: false, temp: 20 });
  assert.equal(oven.last.firstOut, true);
  oven.report(1, { temp: 99 });
  assert.equal(oven.last.rule, 'high');
  assert.equal(oven.last.firstOut, false);
});

test('an acknowledged alarm is raised again after a time, and an unacknowledged one escalates', () => {
  const escalation = [
    { afterMs: 60_000, priority: 2 },
    { afterMs: 120_000, priority: 1 },
  ];
  const oven = new AlarmDevice(rule({ reAlarmMs: 1_000_000, escalation }));
  oven.report(0, { temp: 81 });
  assert.deepEqual(oven.advance(200_000), [
    'hot escalated → unacknowledged H at 60000',
    'hot escalated → unacknowledged H at 120000',
  ]);
  assert.equal(oven.last.priority, 1);
  oven.act(300_000, 'acknowledge');
  assert.equal(oven.last.priority, 3);
  assert.deepEqual(oven.advance(1_300_000), ['hot realarmed → unacknowledged H at 1300000']);
});

test('a device that does not report is stale by the clock of ingest, but not for lack of a log', () => {
  const oven = new AlarmDevice(rule({ condition: { kind: 'stale', afterMs: 60_000 } }));
  oven.report(0, { temp: 1 });
  assert.deepEqual(oven.advance(60_499), []);
  oven.alarms.excuse(start + 50_000);
  assert.deepEqual(oven.advance(110_499), []);
  assert.deepEqual(oven.advance(110_500), ['hot raised → unacknowledged at 60000']);
  assert.deepEqual(oven.report(200_000, { other: 1 }), ['hot returned → returned_unacknowledged at 200000']);
});

test('a rate of change is measured over its time', () => {
  const condition = { kind: 'rate' as const, tag: 'temp', overMs: 10_000, rise: { value: 2 } };
  const oven = new AlarmDevice(rule({ condition }));
  for (let at = 0; at <= 20_000; at += 1_000) assert.deepEqual(oven.report(at, { temp: at / 1_000 }), []);
  for (let at = 21_000; at <= 25_000; at += 1_000) oven.report(at, { temp: 20 + (at - 20_000) / 250 });
  assert.equal(oven.last.limit, 'rise');
  assert.deepEqual(oven.report(60_000, { temp: 30 }), ['hot returned → returned_unacknowledged rise at 60000']);
});

test('a device that reports again has a grace', () => {
  const oven = new AlarmDevice(rule({ grace: { idleMs: 60_000, forMs: 5_000 } }));
  assert.deepEqual(oven.report(0, { temp: 99 }), [], 'the first report of a device starts a grace too');
  assert.deepEqual(oven.report(1_000, { temp: 20 }), []);
  assert.equal(oven.report(6_000, { temp: 99 }).length, 1);
  oven.report(7_000, { temp: 20 });
  assert.deepEqual(oven.report(100_000, { temp: 99 }), []);
  assert.deepEqual(oven.report(105_000, { temp: 99 }), ['hot raised → unacknowledged H at 105000']);
});

test('an expression over several tags raises an alarm with its message and context', () => {
  const condition = { kind: 'expression' as const, expression: 'temp > 80.0 && running' };
  const oven = new AlarmDevice(
    rule({ condition, context: ['speed'], message: '{device} {rule}: speed {context.speed}, limit {limit}' }),
  );
  oven.report(0, { temp: 81 });
  oven.report(1, { speed: 7 });
  assert.deepEqual(oven.report(2, { running: true }), ['hot raised → unacknowledged at 2']);
  assert.equal(oven.last.message, 'plant1.oven hot: speed 7, limit ?');
  assert.deepEqual(oven.last.context, [{ tag: 'speed', value: 7, unit: '', time: start + 1 }]);
});

test('a new version of a rule raises nothing twice, and its alarm returns if the condition does not hold', () => {
  const oven = new AlarmDevice(rule());
  oven.report(0, { temp: 85 });
  const { alarm } = oven.last;
  assert.deepEqual(oven.setRules(1, rule({ version: 2, note: 'other note' })), []);
  assert.deepEqual(oven.report(2, { temp: 86 }), []);
  oven.act(3, 'acknowledge', { alarm });
  const limits = { H: { value: 90 } };
  const higher = rule({ version: 3, condition: { kind: 'limits', tag: 'temp', limits } });
  assert.deepEqual(oven.setRules(4, higher), ['hot rule_changed → normal H at 4']);
  assert.deepEqual(oven.setRules(5, rule({ version: 4 })), ['hot raised → unacknowledged H at 2']);
  assert.deepEqual(oven.setRules(6), ['hot rule_changed → normal H at 6']);
  oven.setRules(7, rule({ version: 5 }));
  assert.deepEqual(oven.report(8, { temp: 85 }), ['hot raised → unacknowledged H at 8']);
  assert.equal(oven.last.number, 6, 'a rule that is back goes on with its numbers');
});

test('a transition that follows from another one at the same time survives a crash between the two', () => {
  const trip = rule({ id: 'a-trip', condition: { kind: 'stale', afterMs: 3_000 } });
  const hot = rule({ inhibition: { alarms: ['a-trip'] } });
  const oven = new AlarmDevice(trip, hot);
  oven.report(0, { temp: 81 });
  const checkpoint = oven.alarms.state();
  assert.deepEqual(oven.advance(10_000), [
    'a-trip raised → unacknowledged at 3000',
    'hot suppressed → suppressed H at 3000',
  ]);
  const next = new DeviceAlarms({
    device,
    epoch: 'e1',
    eventsEpoch: 'v1',
    counts: { evaluated: 0, lateReadings: 0, duplicateReports: 0 },
    state: checkpoint,
  });
  next.adopt(oven.written[1]!);
  assert.deepEqual(next.setRules([trip, hot], start), []);
  assert.deepEqual(next.advance(start + 10_000).map(lineOf), ['hot suppressed → suppressed H at 3000']);
});

test('after the topic of events was lost, transitions have other IDs, and activations the same', () => {
  const raisedIn = (eventsEpoch: string) => {
    const counts = { evaluated: 0, lateReadings: 0, duplicateReports: 0 };
    const alarms = new DeviceAlarms({ device, epoch: 'e1', eventsEpoch, counts });
    alarms.setRules([rule()], start);
    const report = { device, time: start, received: start, readings: [{ tag: 'temp', value: 81 }] };
    const [raised] = alarms.report(report, 0);
    assert.ok(raised !== undefined && 'transition' in raised);
    return raised.transition;
  };
  const [before, again, after] = [raisedIn('v1'), raisedIn('v1'), raisedIn('v2')];
  assert.equal(before.id, again.id);
  assert.notEqual(before.id, after.id);
  assert.equal(before.alarm, after.alarm);
});

test('a rule that is new to a device is evaluated at the next report of its tags', () => {
  const oven = new AlarmDevice();
  oven.report(0, { temp: 85 });
  assert.deepEqual(oven.setRules(1, rule()), []);
  assert.equal(oven.report(2, { temp: 85 }).length, 1);
});

test('a value outside of the band that was learnt raises an alarm, which has what was expected', () => {
  const oven = new AlarmDevice(rule({ condition: { kind: 'band', tag: 'temp' } }));
  const minuteMs = 60_000;
  for (let minute = 0; minute < 3 * 1_440; minute++) {
    assert.deepEqual(oven.report(minute * minuteMs, { temp: 50 + Math.sin(minute) }), []);
    if (minute === 3 * 1_440 - 1) oven.restart();
  }
  assert.deepEqual(oven.report(3 * 1_440 * minuteMs, { temp: 90 }), [
    `hot raised → unacknowledged above at ${3 * 1_440 * minuteMs}`,
  ]);
  assert.match(oven.last.message, /^temp: expected \d.* to \d.*, got 90$/);
  assert.ok(oven.last.limitValue! < 90);
});

test('an escalation does not lower the priority of a worse limit', () => {
  const limits = { H: { value: 80 }, HH: { value: 90, priority: 1 } };
  const condition = { kind: 'limits', tag: 'temp', limits } as const;
  const oven = new AlarmDevice(rule({ condition, escalation: [{ afterMs: 60_000, priority: 2 }] }));
  oven.report(0, { temp: 81 });
  oven.advance(60_000);
  assert.equal(oven.last.priority, 2);
  oven.report(70_000, { temp: 95 });
  assert.deepEqual([oven.last.limit, oven.last.priority], ['HH', 1]);
});
