import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tailrace } from '@tailrace/protocol/generated';
import { type AlarmOutput, DeviceAlarms } from '@tailrace/rules/device-alarms';
import { CompiledRule } from '@tailrace/rules/evaluation/compiled-rule';
import type { AlarmAction } from '@tailrace/rules/lifecycle/alarm-transition';
import type { TagValue } from '@tailrace/rules/rule-condition';
import { refusalMessage, transitionMessage } from '../../services/alarms/src/alarm-messages.ts';
import { type LoggedReport, type ReplayBounds, replayDevice } from './alarm-replay.ts';
import { alarmRules } from './alarm-rules.ts';
import { EventCollection } from './logged.ts';

const { Event } = tailrace.v1;
const device = 'plant1.oven';
const epoch = 'e1';
const eventsEpoch = 'e2';
const start = 1_700_000_000_000;
const rules = alarmRules.map((rule) => ({ ...rule, version: 1 }));
const undisturbed: ReplayBounds = { late: [], graced: [], graceMs: 2_000, slackMs: 250 };

/** A device, its log, and the alarms that the product writes for it. */
class Log {
  readonly alarms: DeviceAlarms;
  readonly reports: LoggedReport[] = [];
  readonly actions = new Map<string, AlarmAction>();
  readonly outputs: AlarmOutput[] = [];
  #received = 0;

  constructor() {
    const counts = { evaluated: 0, lateReadings: 0, duplicateReports: 0 };
    this.alarms = new DeviceAlarms({ device, epoch, eventsEpoch, counts });
    this.outputs.push(
      ...this.alarms.setRules(
        rules.map((rule) => new CompiledRule(rule)),
        start,
      ),
    );
  }

  /** `receivedAtMs`: default, when it was taken. */
  report(atMs: number, values: Readonly<Record<string, TagValue>>, receivedAtMs = atMs): void {
    const seq = this.reports.length;
    const readings = Object.entries(values).map(([tag, value]) => ({ tag, value }));
    const report = { device, time: start + atMs, received: start + receivedAtMs, readings };
    this.reports.push({ seq, report, receivedBefore: this.#received });
    this.#received = Math.max(this.#received, start + receivedAtMs);
    this.outputs.push(...this.alarms.report(report, seq));
  }

  advance(atMs: number): void {
    this.outputs.push(...this.alarms.advance(start + atMs));
  }

  act(atMs: number, kind: AlarmAction['kind'], rule: string): void {
    const id = `a${this.actions.size}`;
    const action = { id, device, rule, alarm: '', number: 0, kind, by: 'anna', note: 'seen', time: start + atMs };
    this.actions.set(id, action);
    this.outputs.push(...this.alarms.action(action));
  }

  difference(bounds = undisturbed, outputs = this.outputs): string {
    return this.verdict(bounds, outputs).difference;
  }

  verdict(bounds = undisturbed, outputs = this.outputs) {
    const collected = new EventCollection();
    outputs.forEach((output, seq) => {
      const event =
        'refused' in output
          ? { alarmActionRefused: refusalMessage(output.refused, 0) }
          : { alarmTransition: transitionMessage(output.transition, { owner: 0, point: output.state }) };
      collected.add(0, seq, Event.encode(event).finish());
    });
    const answers = collected.events.answers.get(device) ?? [];
    const { reports, actions } = this;
    return replayDevice({ device, epoch, eventsEpoch, rules, reports, actions, answers }, bounds);
  }
}

/** Reports by which each rule raises an alarm, and actions of people. */
function usual(): Log {
  const log = new Log();
  const normal = { temp: 50, load: 20, on: true, mode: 'auto' };
  log.report(0, normal);
  log.report(300, { ...normal, temp: 96 });
  log.act(400, 'acknowledge', 'hot');
  log.act(450, 'acknowledge', 'hot');
  log.report(600, { ...normal, temp: 82 });
  log.report(1_300, { ...normal, temp: 82, on: false });
  log.report(1_400, { ...normal, mode: 'fault' });
  log.report(1_600, { ...normal, load: 90 });
  log.advance(6_000);
  log.report(6_200, normal);
  log.act(6_300, 'acknowledge', 'off');
  log.report(6_500, normal);
  log.advance(60_000);
  return log;
}

test('what the product writes is what the reference finds', () => {
  const log = usual();
  const { difference, compared } = log.verdict();
  assert.equal(difference, '');
  const raised = log.outputs.flatMap((output) =>
    'transition' in output && output.transition.cause === 'raised' ? [output.transition.rule] : [],
  );
  assert.deepEqual(new Set(raised), new Set(rules.map(({ id }) => id)), 'each rule is tested');
  assert.equal(compared, log.outputs.length);
});

test('a transition that is missing, of another time, or one more, is found', () => {
  const { outputs } = usual();
  for (const [index, output] of outputs.entries()) {
    const left = usual().difference(undisturbed, outputs.toSpliced(index, 1));
    assert.notEqual(left, '', `without ${JSON.stringify(output)}`);
    if ('refused' in output) continue;
    const { transition } = output;
    const changed = { ...output, transition: { ...transition, time: transition.time + 1 } };
    assert.match(usual().difference(undisturbed, outputs.with(index, changed)), /expected .*, got /);
    const again = { ...output, transition: { ...transition, number: transition.number + 1 } };
    assert.match(usual().difference(undisturbed, outputs.toSpliced(index + 1, 0, again)), /expected .*, got /);
  }
});

test('an action that is applied to another state than the reports before it have is found', () => {
  const log = new Log();
  log.report(0, { temp: 96 });
  const raised = log.outputs.length;
  log.act(100, 'acknowledge', 'hot');
  log.report(200, { temp: 50 });
  const [first, second] = [log.outputs.slice(0, raised), log.outputs.slice(raised)];
  assert.notEqual(log.difference(undisturbed, [...first, ...second.toReversed()]), '');
});

test('a delay that has passed before a report on its way is accepted only with a reason', () => {
  const late = () => {
    const log = new Log();
    log.report(0, { temp: 78 });
    // The watermark has passed the delay. The report that contradicts it reaches the log afterwards.
    log.advance(1_300);
    log.report(400, { temp: 50 }, 400);
    log.advance(60_000);
    return log;
  };
  assert.ok(
    late().outputs.some((output) => 'transition' in output && output.transition.rule === 'warm'),
    'raised',
  );
  assert.match(late().difference(), /expected the report 1 of .* before them/);
  const away = { ...undisturbed, late: [{ fromMs: start, toMs: start + 1_000 }] };
  assert.deepEqual([late().difference(away), late().verdict(away).early], ['', 1]);
  // Another report of the partition shows that the watermark was there.
  const log = late();
  const reports = log.reports.map((each) => ({ ...each, receivedBefore: start + 1_600 }));
  Object.assign(log, { reports });
  assert.equal(log.difference(), '');
});

test('a device that is not stale for lack of a log is accepted only as long as its grace', () => {
  const excused = (untilMs: number) => {
    const log = new Log();
    log.report(0, { temp: 50, load: 1 });
    log.alarms.excuse(start + untilMs);
    log.report(3_500, { temp: 50, load: 1 });
    log.advance(60_000);
    return log;
  };
  assert.match(excused(5_000).difference(), /stale/);
  const away = { ...undisturbed, graced: [{ fromMs: start + 500, toMs: start + 3_000 }] };
  const { difference, excuses } = excused(5_000).verdict(away);
  assert.equal(difference, '');
  assert.ok(excuses >= 1);
  // Longer than the grace.
  assert.notEqual(excused(16_000).difference(away), '');
});

test('a delay and a device with a grace, before reports that come late after an interruption, are compared together', () => {
  const log = new Log();
  log.report(0, { temp: 78, load: 1 });
  log.alarms.excuse(start + 6_000);
  // The watermark has passed the delay, and would have found the device stale.
  log.advance(5_000);
  log.report(900, { temp: 78, load: 1 }, 900);
  log.advance(60_000);
  assert.notEqual(log.difference(), '');
  const away = [{ fromMs: start + 500, toMs: start + 4_500 }];
  const { difference, excuses, early } = log.verdict({ ...undisturbed, late: away, graced: away });
  assert.equal(difference, '');
  assert.ok(excuses >= 1 && early === 1);
});

test('a value that is older than the last one of its tag does not shorten the grace of the device', () => {
  const log = new Log();
  log.report(0, { temp: 50, load: 1 });
  log.alarms.excuse(start + 4_000);
  log.report(3_900, { temp: 50 });
  // It was on its way while the log was away, as the report before it.
  log.report(-300, { load: 9 }, 4_100);
  log.report(4_200, { temp: 50 });
  log.report(5_000, { temp: 50, load: 2 });
  log.advance(60_000);
  const away = [{ fromMs: start + 500, toMs: start + 4_000 }];
  const { difference, excuses } = log.verdict({ ...undisturbed, late: away, graced: away });
  assert.equal(difference, '');
  assert.ok(excuses >= 1);
});
