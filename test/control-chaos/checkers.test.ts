import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { AlarmTransition, CommandTransition } from '@tailrace/protocol/control-event-json';
import type { Act } from './act-ledger.ts';
import { type AuditEntry, auditViolations } from './audit-checker.ts';
import { notificationViolations, scheduleViolations } from './automation-checker.ts';
import { commandViolations } from './execution-checker.ts';
import type { Execution } from './execution-ledger.ts';
import type { LoggedCommand } from './logged.ts';
import { missingReports, reportViolations, watcherViolations } from './watcher-checker.ts';

const device = 'plant1.press';
const act = (fields: Partial<Act> = {}): Act => ({
  ...{ kind: 'command', subject: 'anna', target: device, key: 'k1', name: 'set', deadline: 1_000 },
  ...{ answers: ['c1'], refusals: [], isDoubtful: false },
  ...fields,
});
const logged = (number: number, state: string, isFinal = false, fields: Partial<CommandTransition> = {}) => ({
  transition: { id: 'c1', key: 'k1', by: 'anna', device, number, state, time: number, deadline: 1_000, ...fields },
  isFinal,
});
const executed = (fields: Partial<Execution> = {}): Execution => ({
  ...{ id: 'c1', device, atMs: 500, fence: 0, name: 'set' },
  ...fields,
});
const usual = [logged(1, 'accepted'), logged(2, 'sent'), logged(3, 'done', true)];

function commandsWith(all: readonly LoggedCommand[], executions: readonly Execution[], acts = [act()]): string[] {
  return commandViolations({ acts, logged: new Map([['c1', all]]), executions });
}

test('a command that is executed once, with one final state, is as promised, also if the outbox repeats records', () => {
  assert.deepEqual(commandsWith(usual, [executed()]), []);
  assert.deepEqual(commandsWith([usual[0]!, usual[1]!, usual[1]!, usual[2]!], [executed()]), []);
});

const broken: Readonly<Record<string, readonly [violations: string[], message: RegExp]>> = {
  'two executions': [commandsWith(usual, [executed(), executed()]), /expected one execution, got 2/],
  'done without an execution': [commandsWith(usual, []), /expected an execution, got none/],
  'an execution of an expired one': [
    commandsWith([logged(1, 'accepted'), logged(2, 'expired', true)], [executed()]),
    /is expired: expected no execution/,
  ],
  'a late execution': [commandsWith(usual, [executed({ atMs: 1_600 })]), /got 600 ms later/],
  'no final state': [commandsWith(usual.slice(0, 2), []), /expected a final state, got sent/],
  'two final states': [
    commandsWith([...usual, logged(4, 'failed', true)], [executed()]),
    /expected nothing after done/,
  ],
  'a missing number': [commandsWith(usual.toSpliced(1, 1), [executed()]), /expected the transition 2, got 3/],
  'two transitions with one number': [
    commandsWith([...usual.slice(0, 2), logged(2, 'queued'), usual[2]!], [executed()]),
    /expected one transition 2, got two/,
  ],
  'two commands for a key': [
    commandsWith(usual, [executed()], [act({ answers: ['c1', 'c2'] })]),
    /expected one command/,
  ],
  'an accepted command that the log does not have': [
    commandsWith(usual, [executed()], [act(), act({ key: 'k2', answers: ['c2'] })]),
    /expected the command c2 in the log/,
  ],
  'a command without a request': [commandsWith(usual, [executed()], []), /expected a key of the ledger/],
  'an execution without a command': [commandsWith(usual, [executed(), executed({ id: 'c9' })]), /c9 .* in the log/],
  'an execution for a former holder': [
    commandsWith(usual, [executed({ id: 'c1', fence: 7 }), executed({ id: 'c1', fence: 6 })]),
    /expected a fencing token of at least 7, got 6/,
  ],
};
for (const [name, [violations, message]] of Object.entries(broken))
  test(`of commands, ${name} is found`, () => {
    assert.ok(
      violations.some((each) => message.test(each)),
      violations.join('\n'),
    );
  });

const transition = (id: string, number: number, fields: Partial<AlarmTransition> = {}): AlarmTransition => ({
  ...{ id, alarm: 'a', rule: 'hot', device, number, state: 'unacknowledged', time: number },
  ...fields,
});

test('a screen that misses, repeats or reorders a transition is found', () => {
  const log = { transitions: [[transition('t1', 1), transition('t2', 2)]], commands: new Map([['c1', usual]]) };
  const received = { name: 'screen', alarms: [['t1', 't2']], commands: new Map([['c1', [1, 2, 3]]]), replaced: 0 };
  assert.deepEqual(watcherViolations(received, log), []);
  for (const alarms of [[['t1']], [['t2', 't1']], [['t1', 't2', 't2']]])
    assert.match(watcherViolations({ ...received, alarms }, log).join(), /expected the 2 transitions/);
  for (const numbers of [
    [1, 3],
    [1, 2, 3, 3],
    [2, 1, 3],
  ])
    assert.match(watcherViolations({ ...received, commands: new Map([['c1', numbers]]) }, log).join(), /command c1/);
  assert.match(watcherViolations({ ...received, replaced: 1 }, log).join(), /1 snapshots/);
});

test('a report that a screen misses, repeats or receives in another order is found', () => {
  const report = (seq: number, id: string) => ({
    ...{ seq, receivedBefore: 0 },
    report: { device, time: seq, id, readings: [] },
  });
  const log = new Map([[device, [report(3, 'a'), report(4, 'b'), report(7, 'a'), report(8, 'c')]]]);
  const found = (seqs: readonly number[], missing = 0) =>
    reportViolations({ name: 'trend', reports: new Map([[device, seqs]]), missing }, log).join();
  assert.equal(found([3, 4, 8]), '', 'of those that were sent again the first one');
  for (const seqs of [
    [3, 4],
    [4, 3, 8],
    [3, 4, 7, 8],
    [3, 4, 8, 8],
  ])
    assert.match(found(seqs), /expected 3 reports/);
  assert.match(found([3, 4, 8], 1), /1 missing ranges/);
  assert.deepEqual(missingReports(new Set(['a', 'b']), log), []);
  assert.match(missingReports(new Set(['a', 'd']), log).join(), /all but 1: d/);
});

/** Entries in a chain, with their records of the topic. */
function chained(entries: readonly Partial<AuditEntry>[]): { entries: AuditEntry[]; records: string[] } {
  let hash = createHash('sha256').update('tailrace audit chain 3').digest();
  const all: AuditEntry[] = [];
  const records = entries.map((fields, index) => {
    const entry = { subject: 'anna', action: '', target: device, result: 'done', details: {}, ...fields };
    const content = JSON.stringify(entry);
    const number = index + 1;
    hash = createHash('sha256').update(hash).update(`\n${number}\n${content}`).digest();
    const place = { chain: 3, number, hash: hash.toString('hex') };
    all.push({ ...place, ...entry });
    return `{"chain":3,"number":${number},"hash":"${place.hash}","entry":${content}}`;
  });
  return { entries: all, records };
}

test('of the audit, a missing entry, another hash and an act without an entry are found', () => {
  const command = (number: number, state: string) => ({
    action: `command.${state}`,
    details: { command: 'c1', number },
  });
  const refused = { action: 'command.refused', result: 'refused' };
  const { entries, records } = chained([command(1, 'accepted'), command(2, 'sent'), command(3, 'done'), refused]);
  const commands = new Map([['c1', usual]]);
  const acts = [act(), act({ key: 'k2', answers: [], refusals: ['conflict'] })];
  const found = (changes: Partial<Parameters<typeof auditViolations>[0]>) =>
    auditViolations({ acts, commands, entries, records, ...changes }).join('\n');
  assert.equal(found({}), '');
  assert.equal(found({ records: [...records, records[2]!] }), '', 'a repeated record');
  assert.match(found({ records: records.slice(0, 3) }), /expected the same in the topic/);
  assert.match(found({ entries: entries.slice(0, 3) }), /expected no entry but those of the table/);
  assert.match(
    found({ records: records.with(1, records[1]!.replace('sent', 'seen')) }),
    /entry 3\/2: expected the hash [0-9a-f]{64}, got/,
  );
  assert.match(
    found({ acts: [...acts, act({ kind: 'alarm', name: 'shelve', answers: ['x'] })] }),
    /alarm.shelve anna x/,
  );
  assert.match(found({ acts: [...acts, ...acts] }), /command.refused/);
  assert.match(found({ commands: new Map([['c1', [...usual, logged(4, 'failed')]]]) }), /command.failed c1 4/);
});

test('a time of a schedule without a run, with two, or too late, is found', () => {
  const started = (at: number, lateMs = 10): AuditEntry & { readonly time: number } => ({
    ...{ chain: 0, number: 1, hash: '', subject: 'control', action: 'scene.run_started', target: 'scene/tick' },
    ...{ result: 'done', time: at + lateMs, details: { schedule: 'tick', time: at } },
  });
  const skipped = (firstMs: number, lastMs: number): ReturnType<typeof started> => ({
    ...started(lastMs),
    ...{ action: 'schedule.skipped', target: 'schedule/tick', details: { firstMs, lastMs, reason: 'late' } },
  });
  const schedule = { id: 'tick', everyMs: 5_000, catchUpMs: 10_000 };
  const found = (...entries: ReturnType<typeof started>[]) => scheduleViolations(entries, schedule).join('\n');
  assert.equal(found(started(5_000), skipped(10_000, 20_000), started(25_000, 8_000), started(30_000)), '');
  assert.match(found(started(5_000), started(15_000)), /10000: expected a run or a skip, got none/);
  assert.match(found(started(5_000), started(5_000)), /got a run and a run/);
  assert.match(found(started(5_000, 20_000)), /expected a start within 10000 ms, got one after 20000 ms/);
  assert.match(found(), /expected runs, got none/);
});

test('a notification that is missing, or of another alarm, is found', () => {
  const raised = transition('t1', 1, { priority: 2, cause: 'raised' });
  const low = transition('t2', 1, { priority: 4, cause: 'raised' });
  assert.deepEqual(notificationViolations([raised, low], ['t1', 't1'], 2), []);
  assert.match(notificationViolations([raised, low], [], 2).join(), /got all but 1: t1/);
  assert.match(notificationViolations([raised, low], ['t1', 't2'], 2).join(), /got 1 others: t2/);
});
