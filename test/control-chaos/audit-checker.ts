import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Act } from './act-ledger.ts';
import type { LoggedCommand } from './logged.ts';

/** An entry of the audit, as the API exports it. */
export interface AuditEntry {
  readonly chain: number;
  readonly number: number;
  readonly hash: string;
  readonly subject: string;
  readonly action: string;
  readonly target: string;
  readonly result: string;
  readonly details: Readonly<Record<string, unknown>>;
}

export interface AuditFacts {
  readonly acts: readonly Act[];
  readonly commands: ReadonlyMap<string, readonly LoggedCommand[]>;
  /** Of the table, as `GET /v1/audit/export` has it. */
  readonly entries: readonly AuditEntry[];
  /** Values of the topic, in the order of the log. */
  readonly records: readonly string[];
}

/** Returns a sentence for each promise about the audit that was broken. */
export function auditViolations({ acts, commands, entries, records }: AuditFacts): string[] {
  return [...topicViolations(entries, records), ...chainViolations(records), ...actViolations(acts, commands, entries)];
}

const placeOf = ({ chain, number }: Pick<AuditEntry, 'chain' | 'number'>) => `${chain}/${number}`;

/** The topic has the entries of the table, and no others. A record may be there twice. */
function topicViolations(entries: readonly AuditEntry[], records: readonly string[]): string[] {
  const violations: string[] = [];
  const found = new Map<string, object>();
  for (const text of records) {
    const { entry, ...place } = JSON.parse(text) as { chain: number; number: number; hash: string; entry: object };
    const record = { ...place, ...entry };
    const known = found.get(placeOf(place));
    if (known !== undefined && !isDeepStrictEqual(known, record))
      violations.push(`audit topic: expected one entry ${placeOf(place)}, got two`);
    found.set(placeOf(place), record);
  }
  for (const entry of entries) {
    const record = found.get(placeOf(entry));
    found.delete(placeOf(entry));
    if (!isDeepStrictEqual(record, { ...entry }))
      violations.push(
        `audit entry ${placeOf(entry)} ${entry.action}: expected the same in the topic, got ${JSON.stringify(record)}`,
      );
  }
  for (const place of found.keys())
    violations.push(`audit topic: expected no entry but those of the table, got ${place}`);
  return violations;
}

/** The hashes of the topic are those of its texts, chain by chain, without a gap. It uses no code of the product. */
function chainViolations(records: readonly string[]): string[] {
  const violations: string[] = [];
  const heads = new Map<number, { number: number; hash: Buffer }>();
  for (const text of records) {
    const { chain, number, hash } = JSON.parse(text) as { chain: number; number: number; hash: string };
    const first = { number: 0, hash: createHash('sha256').update(`tailrace audit chain ${chain}`).digest() };
    const head = heads.get(chain) ?? first;
    if (number <= head.number) continue;
    const content = text.slice(text.indexOf('"entry":') + '"entry":'.length, -1);
    const expected = createHash('sha256').update(head.hash).update(`\n${number}\n${content}`).digest();
    if (number !== head.number + 1) violations.push(`audit chain ${chain}: expected ${head.number + 1}, got ${number}`);
    else if (expected.toString('hex') !== hash)
      violations.push(`audit entry ${chain}/${number}: expected the hash ${expected.toString('hex')}, got ${hash}`);
    heads.set(chain, { number, hash: Buffer.from(hash, 'hex') });
  }
  return violations;
}

const verbs: Readonly<Record<string, string>> = {
  acquire: 'acquired',
  renew: 'renewed',
  release: 'released',
  take_over: 'taken_over',
};

/** Each act that was accepted or refused has its entry, and each transition of a command has one. */
function actViolations(
  acts: readonly Act[],
  commands: ReadonlyMap<string, readonly LoggedCommand[]>,
  entries: readonly AuditEntry[],
): string[] {
  const violations: string[] = [];
  const known = new Map<string, number>();
  const add = (name: string) => known.set(name, (known.get(name) ?? 0) + 1);
  const expect = (name: string, times = 1) => {
    const count = known.get(name) ?? 0;
    if (count !== times) violations.push(`audit: expected ${times} entry of ${name}, got ${count}`);
  };
  const refusals = new Map<string, number>();
  for (const { subject, action, target, result, details } of entries) {
    const { command, number, id, token } = details;
    if (result === 'refused') {
      const name = `${subject} ${action} ${target}`;
      refusals.set(name, (refusals.get(name) ?? 0) + 1);
    } else if (action.startsWith('command.') && number !== undefined) add(`${action} ${command} ${number}`);
    else if (action.startsWith('alarm.')) add(`${action} ${subject} ${id}`);
    else if (action.startsWith('lease.')) add(`${action} ${subject} ${target} ${token}`);
  }
  for (const [id, all] of commands) {
    const transitions = new Map(all.map(({ transition }) => [transition.number, transition.state]));
    for (const [number, state] of transitions) expect(`command.${state} ${id} ${number}`);
  }
  for (const { kind, subject, target, name, answers, refusals: codes } of acts) {
    if (kind === 'alarm') for (const id of answers) expect(`alarm.${name} ${subject} ${id}`);
    if (kind === 'lease')
      for (const token of answers) {
        const entry = `lease.${verbs[name]} ${subject} ${target} ${token}`;
        if ((known.get(entry) ?? 0) === 0) violations.push(`audit: expected an entry of ${entry}, got none`);
      }
    for (const code of codes) {
      if (code !== 'forbidden' && code !== 'conflict') continue;
      const refused = `${subject} ${kind}.refused ${target}`;
      const left = refusals.get(refused) ?? 0;
      if (left === 0) violations.push(`audit: expected an entry of ${refused} (${code}), got none`);
      refusals.set(refused, left - 1);
    }
  }
  return violations;
}
