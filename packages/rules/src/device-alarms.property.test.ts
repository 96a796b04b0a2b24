import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Reading } from '@tailrace/protocol/reading';
import type { Report } from '@tailrace/protocol/report';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { ReferenceAlarms, type ReferenceTransition } from '../test/reference.ts';
import type { AlarmOutput } from './alarm-output.ts';
import { DeviceAlarms } from './device-alarms.ts';
import { CompiledRule } from './evaluation/compiled-rule.ts';
import { decodeDeviceState, encodeDeviceState } from './evaluation/point-state.ts';
import { compileExpression } from './expression.ts';
import { alarmId, transitionId } from './lifecycle/alarm-identity.ts';
import type { AlarmAction, AlarmActionKind } from './lifecycle/alarm-transition.ts';
import { type Rule, type RuleInput, ruleFrom } from './rule.ts';

const device = 'plant1.oven';
const epoch = 'e1';
const eventsEpoch = 'v1';
const start = 1_700_000_000_000;

const delay = fc.constantFrom(0, 0, 300, 2_000);
const limit = fc.record({ hysteresis: fc.constantFrom(0, 4) });

/** Rules over the tags temp and load (numbers), on (boolean) and mode (text). */
const condition: fc.Arbitrary<RuleInput['condition']> = fc.oneof(
  fc
    .record({ tag: fc.constantFrom('temp', 'load'), H: limit, HH: fc.option(limit), L: fc.option(limit) })
    .map(({ tag, H, HH, L }): RuleInput['condition'] => ({
      kind: 'limits',
      tag,
      limits: {
        H: { value: 60, ...H },
        ...(HH === null ? {} : { HH: { value: 80, priority: 1, onDelayMs: 700, ...HH } }),
        ...(L === null ? {} : { L: { value: 20, ...L } }),
      },
    })),
  fc.constant<RuleInput['condition']>({ kind: 'state', tag: 'mode', in: ['b', 'c'] }),
  fc.constant<RuleInput['condition']>({ kind: 'state', tag: 'on', notIn: [true] }),
  fc.constant<RuleInput['condition']>({ kind: 'expression', expression: 'temp > 50.0 && (on || load < 30.0)' }),
  fc.constant<RuleInput['condition']>({ kind: 'stale', afterMs: 3_000 }),
  fc.constant<RuleInput['condition']>({ kind: 'stale', tag: 'load', afterMs: 5_000 }),
  fc.constant<RuleInput['condition']>({
    kind: 'rate',
    tag: 'temp',
    overMs: 1_000,
    rise: { value: 20, hysteresis: 5 },
    fall: { value: 30 },
  }),
);

const ids = ['r1', 'r2', 'r3', 'r4'];

const ruleFields = fc.record({
  condition,
  onDelayMs: delay,
  offDelayMs: delay,
  latched: fc.boolean(),
  group: fc.option(fc.constant('g')),
  reAlarmMs: fc.option(fc.constant(4_000)),
  escalation: fc.constantFrom(
    [],
    [
      { afterMs: 1_500, priority: 2 },
      { afterMs: 3_000, priority: 1 },
    ],
  ),
  class: fc.option(fc.record({ name: fc.constant('c'), noteRequired: fc.boolean(), twoStep: fc.boolean() })),
  grace: fc.option(fc.constant({ idleMs: 2_500, forMs: 1_000 })),
  inhibition: fc.option(
    fc.record({
      alarms: fc.subarray(ids, { maxLength: 1 }),
      states: fc.constantFrom([], [{ tag: 'mode', in: ['c'] }]),
      expression: fc.constantFrom(undefined, 'load > 70.0'),
      releaseDelayMs: delay,
    }),
  ),
});
type RuleFields = typeof ruleFields extends fc.Arbitrary<infer F> ? F : never;

function ruleOf(id: string, version: number, fields: RuleFields): Rule {
  const { group, reAlarmMs, class: alarmClass, grace, inhibition, ...rest } = fields;
  const alarms = inhibition?.alarms.filter((other) => other !== id) ?? [];
  const hasInhibition =
    inhibition !== null && alarms.length + inhibition.states.length + (inhibition.expression === undefined ? 0 : 1) > 0;
  return ruleFrom({
    id,
    version,
    devices: ['plant1.>'],
    ...rest,
    ...(group === null ? {} : { group }),
    ...(reAlarmMs === null ? {} : { reAlarmMs }),
    ...(alarmClass === null ? {} : { class: alarmClass }),
    ...(grace === null ? {} : { grace }),
    ...(hasInhibition ? { inhibition: { ...inhibition, alarms } } : {}),
  });
}

const number = fc.constantFrom(10, 22, 40, 58, 61, 75, 85);
const reading = fc.oneof(
  fc.record({ tag: fc.constantFrom('temp', 'load'), value: number }),
  fc.record({ tag: fc.constant('on'), value: fc.boolean() }),
  fc.record({ tag: fc.constant('mode'), value: fc.constantFrom('a', 'b', 'c') }),
);

const step = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constant('report' as const),
      afterMs: fc.constantFrom(0, 1, 100, 400, 1_500, 4_000),
      lagMs: fc.constantFrom(0, 0, 50, 600, 5_000),
      readings: fc.array(
        fc.record({
          reading,
          isBad: fc.constantFrom(false, false, false, true),
          ageMs: fc.constantFrom(-1, -1, 0, 200),
        }),
        { minLength: 1, maxLength: 4 },
      ),
      historical: fc.constantFrom(false, false, false, false, true),
      clock: fc.constantFrom(undefined, undefined, undefined, 'ingest' as const, 'ahead' as const),
      id: fc.constantFrom('', 'm1', 'm2', 'm3'),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('action' as const),
      afterMs: fc.constantFrom(0, 100, 2_000),
      action: fc.constantFrom<AlarmActionKind>(
        'acknowledge',
        'acknowledge',
        'acknowledge',
        'shelve',
        'unshelve',
        'reset',
        'remove_from_service',
        'return_to_service',
      ),
      rule: fc.constantFrom(...ids),
      by: fc.constantFrom('anna', 'ben'),
      note: fc.constantFrom('', 'note', 'note'),
      forMs: fc.constantFrom(0, 500, 3_000),
      isStale: fc.constantFrom(false, false, true),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('advance' as const), afterMs: fc.constantFrom(100, 3_000, 20_000) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('rules' as const),
      index: fc.nat(3),
      fields: fc.option(ruleFields),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('excuse' as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** What the process that evaluates does between the steps, without an effect on the result. */
const disturbance = fc.constantFrom(
  'none',
  'none',
  'advance',
  'restart',
  'checkpoint',
  'crash0',
  'crash1',
  'crash2',
  'crash9',
);

const expressions = new Map<string, ReturnType<typeof compileExpression>>();

function reference(): ReferenceAlarms {
  return new ReferenceAlarms((text, values) => {
    let expression = expressions.get(text);
    if (expression === undefined) {
      expression = compileExpression(text);
      expressions.set(text, expression);
    }
    return expression.evaluate(values);
  });
}

/** The product, which restarts from checkpoints and crashes between two writes. */
class Evaluated {
  readonly written: AlarmOutput[] = [];
  rules: readonly CompiledRule[] = [];
  #alarms = this.#create();
  #checkpoint = this.#saved();
  /** Since the checkpoint. */
  #writtenBefore = 0;
  #reports: { report: Report; seq: number }[] = [];
  #advancedMs = 0;

  #create(state?: Uint8Array): DeviceAlarms {
    const counts = { evaluated: 0, lateReadings: 0, duplicateReports: 0 };
    return new DeviceAlarms({
      device,
      epoch,
      eventsEpoch,
      counts,
      ...(state ? { state: decodeDeviceState(state) } : {}),
    });
  }

  #saved(): Uint8Array {
    return encodeDeviceState(this.#alarms.state());
  }

  checkpoint(): void {
    this.#checkpoint = this.#saved();
    this.#writtenBefore = this.written.length;
    this.#reports = [];
  }

  restart(atMs: number): void {
    this.#alarms = this.#create(this.#saved());
    assert.deepEqual(this.#alarms.setRules(this.rules, atMs), [], 'a restart raises nothing');
  }

  /** Runs a step, of which only the first outputs are written before a crash; undefined: there is none. */
  run(step: Applied, writtenMax: number | undefined, atMs: number): void {
    const now = this.#apply(step);
    if (writtenMax === undefined || step.kind === 'rules' || step.kind === 'excuse') {
      this.written.push(...now);
      if (step.kind === 'rules' || step.kind === 'excuse') this.checkpoint();
      return;
    }
    const first = now.slice(0, writtenMax);
    this.written.push(...first);
    this.#alarms = this.#create(this.#checkpoint);
    for (const output of this.written.slice(this.#writtenBefore)) this.#alarms.adopt(output);
    this.written.push(...this.#alarms.setRules(this.rules, atMs));
    for (const { report, seq } of this.#reports) this.written.push(...this.#alarms.report(report, seq));
    this.written.push(...this.#alarms.advance(this.#advancedMs));
    if (step.kind === 'action' && first.length === 0) this.written.push(...this.#alarms.action(step.action));
  }

  #apply(step: Applied): readonly AlarmOutput[] {
    switch (step.kind) {
      case 'report':
        this.#reports.push(step);
        return this.#alarms.report(step.report, step.seq);
      case 'action':
        return this.#alarms.action(step.action);
      case 'advance':
        this.#advancedMs = step.atMs;
        return this.#alarms.advance(step.atMs);
      case 'rules':
        this.rules = step.rules.map((rule) => new CompiledRule(rule));
        return this.#alarms.setRules(this.rules, step.atMs);
      case 'excuse':
        this.#alarms.excuse(step.atMs);
        return [];
    }
  }
}

type Applied =
  | { readonly kind: 'report'; readonly report: Report; readonly seq: number }
  | { readonly kind: 'action'; readonly action: AlarmAction }
  | { readonly kind: 'advance' | 'excuse'; readonly atMs: number }
  | { readonly kind: 'rules'; readonly rules: readonly Rule[]; readonly atMs: number };

function applyToReference(alarms: ReferenceAlarms, step: Applied) {
  switch (step.kind) {
    case 'report':
      return alarms.report(step.report, step.seq);
    case 'action':
      return alarms.action(step.action);
    case 'advance':
      return alarms.advance(step.atMs);
    case 'rules':
      return alarms.rules(step.rules, step.atMs);
    case 'excuse':
      return alarms.excuse(step.atMs);
  }
}

/** Steps by a clock that only rises: the steps of people and of new rules come after a watermark of their time. */
class Timeline {
  now = start;
  readonly #rules = new Map<string, Rule>();
  #version = 1;
  #seq = 0;
  #actions = 0;
  readonly #numberOf: (rule: string) => number;

  constructor(rules: readonly Rule[], numberOf: (rule: string) => number) {
    for (const rule of rules) this.#rules.set(rule.id, rule);
    this.#numberOf = numberOf;
  }

  get rules(): Applied {
    return { kind: 'rules', rules: [...this.#rules.values()], atMs: this.now };
  }

  applied(step: Step): Applied {
    switch (step.kind) {
      case 'report':
        this.now += step.afterMs;
        return { kind: 'report', report: this.#report(step), seq: this.#seq++ };
      case 'action': {
        const { action, rule, by, note, forMs, isStale } = step;
        const number = this.#numberOf(rule) - (isStale ? 1 : 0);
        const until = forMs === 0 ? {} : { until: this.now + forMs };
        const id = `a${this.#actions++}`;
        return {
          kind: 'action',
          action: {
            id,
            device,
            rule,
            alarm: '',
            number: Math.max(0, number),
            kind: action,
            by,
            note,
            time: this.now,
            ...until,
          },
        };
      }
      case 'advance':
      case 'excuse':
        return { kind: step.kind, atMs: this.now };
      case 'rules': {
        const id = ids[step.index]!;
        if (step.fields === null) this.#rules.delete(id);
        else this.#rules.set(id, ruleOf(id, ++this.#version, step.fields));
        return this.rules;
      }
    }
  }

  #report({ lagMs, readings, historical, clock, id }: Step & { kind: 'report' }): Report {
    const time = { ingest: this.now, ahead: this.now + lagMs, none: this.now - lagMs }[clock ?? 'none'];
    const list = readings.map(
      ({ reading, isBad, ageMs }): Reading => ({
        ...reading,
        ...(isBad ? { quality: 'bad' as const } : {}),
        ...(ageMs < 0 ? {} : { time: time - ageMs }),
      }),
    );
    const more = { ...(id === '' ? {} : { id }), ...(clock && { clock }), ...(historical ? { historical } : {}) };
    return { device, time, received: this.now, readings: list, ...more };
  }
}

function comparable(output: AlarmOutput): unknown {
  if ('refused' in output)
    return { action: output.refused.action, rule: output.refused.rule, code: output.refused.code };
  const { transition: t } = output;
  assert.equal(t.id, transitionId(t.rule, device, eventsEpoch, t.number));
  return {
    ...{ rule: t.rule, version: t.ruleVersion, number: t.number, state: t.state, previous: t.previous, cause: t.cause },
    ...{ limit: t.limit, priority: t.priority, time: t.time, seq: t.seq, alarm: t.alarm, value: t.value },
    ...{ firstOut: t.firstOut, until: t.until, action: t.action },
  };
}

function comparableReference({ activatedSeq, version, ...rest }: ReferenceTransition): unknown {
  return { ...rest, version, alarm: activatedSeq < 0 ? '' : alarmId(rest.rule, device, epoch, activatedSeq) };
}

test('whatever the process does between reports, the transitions are those of the reference', () => {
  fc.assert(
    fc.property(
      fc.array(ruleFields, { minLength: 1, maxLength: 4 }),
      fc.array(fc.tuple(step, disturbance), { minLength: 1, maxLength: 60 }),
      (fields, steps) => {
        const expected = reference();
        const numberOf = (rule: string) => expected.transitions.findLast((each) => each.rule === rule)?.number ?? 0;
        const timeline = new Timeline(
          fields.map((each, index) => ruleOf(ids[index]!, 1, each)),
          numberOf,
        );
        const actual = new Evaluated();
        applyToReference(expected, timeline.rules);
        actual.run(timeline.rules, undefined, timeline.now);
        for (const [each, disturbed] of steps) {
          if (each.kind === 'advance' || each.kind === 'action') timeline.now += each.afterMs;
          if (each.kind !== 'report') {
            const advance = { kind: 'advance' as const, atMs: timeline.now };
            applyToReference(expected, advance);
            actual.run(advance, undefined, timeline.now);
          }
          const applied = timeline.applied(each);
          applyToReference(expected, applied);
          if (disturbed === 'checkpoint') actual.checkpoint();
          if (disturbed === 'restart') actual.restart(timeline.now);
          const isCrash = disturbed.startsWith('crash');
          if (disturbed === 'advance') {
            actual.run({ kind: 'advance', atMs: timeline.now }, undefined, timeline.now);
          }
          actual.run(applied, isCrash ? Number(disturbed.slice(5)) : undefined, timeline.now);
        }
        assert.deepEqual(
          actual.written.filter((output) => 'transition' in output).map(comparable),
          expected.transitions.map(comparableReference),
        );
        assert.deepEqual(actual.written.filter((output) => 'refused' in output).map(comparable), expected.refused);
      },
    ),
    fuzzed(300),
  );
});
