import { type RuleInput, ruleFrom } from '@tailrace/rules/rule';

/** Of each kind that the reference knows; for the tags temp, load, on and mode. */
const inputs: readonly Omit<RuleInput, 'version' | 'devices'>[] = [
  {
    id: 'hot',
    condition: {
      kind: 'limits',
      tag: 'temp',
      limits: { H: { value: 80, hysteresis: 5 }, HH: { value: 95, priority: 1 }, L: { value: 10 } },
    },
    priority: 2,
    context: ['load'],
  },
  {
    id: 'warm',
    condition: { kind: 'limits', tag: 'temp', limits: { H: { value: 75 } } },
    ...{ onDelayMs: 700, offDelayMs: 500, reAlarmMs: 5_000, escalation: [{ afterMs: 3_000, priority: 1 }] },
  },
  {
    id: 'load_rate',
    condition: { kind: 'rate', tag: 'load', overMs: 1_000, rise: { value: 30, hysteresis: 5 }, fall: { value: 60 } },
  },
  { id: 'off', condition: { kind: 'state', tag: 'on', notIn: [true] }, latched: true, group: 'power' },
  {
    id: 'fault',
    condition: { kind: 'state', tag: 'mode', in: ['fault'] },
    class: { name: 'safety', noteRequired: true, twoStep: true },
  },
  {
    id: 'combined',
    condition: { kind: 'expression', expression: 'temp > 70.0 && (on || load < 30.0)' },
    inhibition: { alarms: ['off'], releaseDelayMs: 300 },
    group: 'power',
  },
  { id: 'stale', condition: { kind: 'stale', afterMs: 2_500 }, priority: 4 },
  { id: 'load_stale', condition: { kind: 'stale', tag: 'load', afterMs: 3_500 }, priority: 5 },
];

/**
 * The rules of a run. A rule with a delay, an inhibition or a latch is never shelved: what happens meanwhile has no
 * transition, so that the log does not show when it has happened.
 */
export const alarmRules = inputs.map((input) => ruleFrom({ ...input, version: 1, devices: ['plant1.>'] }));

/** Rules that people shelve, and take out of service. */
export const shelvedRules: readonly string[] = ['hot', 'load_rate'];
