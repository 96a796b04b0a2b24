import type { Queryable } from '@tailrace/database/database';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { bytesFromRule, type Rule, ruleFrom, ruleMatches } from '@tailrace/rules/rule';
import { entryOf } from '../audit/audit-entry.ts';
import { act, type ControlContext, orRefused } from '../control-context.ts';
import { activePaths, findDevice } from '../registry/device-store.ts';
import { assertMaySee, assertRole, maySee, type Requester } from '../requester.ts';
import type { RuleTags } from './rule-tags.ts';

/** Rules of an installation. Each process of alarms has all of them. */
const rulesMax = 10_000;

export interface RuleVersion {
  readonly version: number;
  /** Undefined: this version has deleted the rule. */
  readonly rule: Rule | undefined;
  readonly author: string;
  /** Epoch ms. */
  readonly time: number;
}

interface RuleRow {
  readonly id: string;
  readonly version: number;
  readonly body: string;
}

/**
 * Rules of alarms: who may change them, their versions, and their way to alarms through the outbox. The version that a
 * person has edited must be the last one, so that no change of another person is lost.
 */
export class RuleService {
  readonly #context: ControlContext;
  readonly #survey: () => Promise<void>;
  readonly #tags: Pick<RuleTags, 'errorsOf'>;

  /** `survey`: adds the devices to the registry that have reported up to now. */
  constructor(context: ControlContext, survey: () => Promise<void>, tags: Pick<RuleTags, 'errorsOf'>) {
    this.#context = context;
    this.#survey = survey;
    this.#tags = tags;
  }

  /**
   * Stores a rule as its next version. `edited`: the version that was edited; 0 or undefined: a new rule. `isForced`:
   * also ahead of its devices and tags, if none of the registry has them. Resolves with the rule. Rejects with
   * `invalid_rule`, `conflict` (another version is the last one), `limit_reached`, and `forbidden` (without the role
   * `engineer`, or the right to see its devices).
   */
  async put(
    requester: Requester,
    id: string,
    body: object,
    edited: number | undefined,
    isForced = false,
  ): Promise<Rule> {
    return await orRefused(this.#context, requester, refusedOf(id, 'change'), async () => {
      assertRole(requester, 'engineer');
      const version = edited ?? 0;
      const rule = ruleFrom({ ...body, id, version: version + 1, author: requester.subject });
      for (const pattern of rule.devices) assertMaySee(requester, pattern);
      if (!isForced) await this.#assertMatches(rule);
      return await act(this.#context, async (transaction) => {
        const last = await lockRule(transaction, id);
        if (last !== undefined && !isVisible(requester, last))
          throw new TailraceError('conflict', `rule: expected an ID that is free, got ${shown(id)}`);
        if (last !== undefined) assertMaySeeRule(requester, last);
        const isNew = last === undefined || last.body === '';
        if (isNew ? version !== 0 : version !== last.version) throw otherVersion(id, last, edited);
        if (isNew) await assertPlace(transaction);
        // Of a rule that was deleted, the numbers go on.
        const stored = { ...rule, version: (last?.version ?? 0) + 1 };
        await storeVersion(transaction, stored.id, stored.version, JSON.stringify(stored), requester, this.#nowMs());
        return {
          result: stored,
          acts: [this.#actOf(requester, id, 'rule.changed', stored.version, bytesFromRule(stored))],
        };
      });
    });
  }

  /**
   * Rejects with `invalid_rule`, and the places of what matches no active device of the registry; else of the tags that
   * these devices do not report.
   */
  async #assertMatches(rule: Rule): Promise<void> {
    const { database } = this.#context;
    let unmatched = await unmatchedOf(database, rule);
    if (unmatched.length > 0) {
      await this.#survey();
      unmatched = await unmatchedOf(database, rule);
    }
    const wrong = unmatched.length > 0 ? unmatched : await this.#tags.errorsOf(database, rule);
    if (wrong.length === 0) return;
    const lines = [...wrong, 'force=true stores a rule ahead of its devices and tags'];
    throw new TailraceError('invalid_rule', `rule:\n${lines.join('\n')}`);
  }

  /** Deletes a rule: its alarms return to normal. Rejects as `put`, and with `not_found`. */
  async remove(requester: Requester, id: string, version: number | undefined): Promise<void> {
    await orRefused(this.#context, requester, refusedOf(id, 'delete'), async () => {
      assertRole(requester, 'engineer');
      await act(this.#context, async (transaction) => {
        const last = await lockRule(transaction, id);
        if (last === undefined || last.body === '' || !isVisible(requester, last)) throw unknownRule(id);
        assertMaySeeRule(requester, last);
        if (version !== last.version) throw otherVersion(id, last, version);
        const next = last.version + 1;
        await storeVersion(transaction, id, next, '', requester, this.#nowMs());
        const tombstone = new Uint8Array(0);
        return { result: undefined, acts: [this.#actOf(requester, id, 'rule.deleted', next, tombstone)] };
      });
    });
  }

  /** Resolves with a rule. Rejects with `not_found`, also for one of devices that the requester may not see. */
  async find(requester: Requester, id: string): Promise<Rule> {
    const sql = `SELECT id, version, body FROM rules WHERE id = $1 AND body <> ''`;
    const { rows } = await this.#context.database.query<RuleRow>(sql, [id]);
    const rule = rows[0] && (JSON.parse(rows[0].body) as Rule);
    if (rule !== undefined && maySeeRule(requester, rule)) return rule;
    throw unknownRule(id);
  }

  /** Resolves with the rules after an ID, by ID, that the requester may see. `device`: only those that match it. */
  async list(requester: Requester, after: string, limit: number, device?: string): Promise<readonly Rule[]> {
    const sql = `SELECT id, version, body FROM rules WHERE id > $1 AND body <> '' ORDER BY id`;
    const { database } = this.#context;
    const { rows } = await database.query<RuleRow>(sql, [after]);
    const known = device === undefined ? undefined : await findDevice(database, device);
    const attributes = known?.state === 'active' ? known : undefined;
    const found: Rule[] = [];
    for (const { body } of rows) {
      const rule = JSON.parse(body) as Rule;
      if (!maySeeRule(requester, rule) || (device !== undefined && !ruleMatches(rule, device, attributes))) continue;
      found.push(rule);
      if (found.length === limit) break;
    }
    return found;
  }

  /** Resolves with the versions of a rule that the requester may see, the newest first. Rejects as `find`. */
  async versions(requester: Requester, id: string): Promise<readonly RuleVersion[]> {
    const sql = `SELECT version, body, author, at_ms AS time FROM rule_versions WHERE rule = $1
      ORDER BY version DESC LIMIT 100`;
    const { rows } = await this.#context.database.query<{
      version: number;
      body: string;
      author: string;
      time: number;
    }>(sql, [id]);
    const versions = rows.map(({ version, body, author, time }) => ({
      ...{ version, author, time, rule: body === '' ? undefined : (JSON.parse(body) as Rule) },
    }));
    const newest = versions.find(({ rule }) => rule !== undefined)?.rule;
    if (newest === undefined || !maySeeRule(requester, newest)) throw unknownRule(id);
    return visibleVersions(requester, versions);
  }

  #nowMs(): number {
    return this.#context.clock.now();
  }

  #actOf(requester: Requester, id: string, action: string, version: number, value: Uint8Array) {
    const entry = entryOf(requester, { time: this.#nowMs(), action, target: `rule/${id}`, details: { version } });
    return { key: id, entry, records: [{ topic: 'rules' as const, value }] };
  }
}

function refusedOf(id: string, requested: string) {
  return { action: 'rule.refused', target: `rule/${id}`, details: { requested } };
}

/** Resolves with the places of a rule that match no active device, a line each. */
async function unmatchedOf(queryable: Queryable, { devices, where }: Rule): Promise<readonly string[]> {
  const hasDevice = async (patterns: readonly string[], kind = '', labels: Readonly<Record<string, string>> = {}) =>
    (await activePaths(queryable, { patterns: [...patterns], kind, labels }, 1)).length > 0;
  const unmatched: string[] = [];
  for (const [index, pattern] of devices.entries()) {
    if (await hasDevice([pattern])) continue;
    unmatched.push(`devices.${index}: expected a pattern of a device in the registry, got ${shown(pattern)}`);
  }
  if (unmatched.length > 0 || where === undefined || (await hasDevice(devices, where.kind, where.labels)))
    return unmatched;
  return [`where: expected the kind and labels of a device that matches devices, got ${shown(where)}`];
}

/**
 * Returns the versions of devices that the requester may see, and the deletions of these: an ID that was free may have
 * been the one of a rule of another tenant before. `versions`: the newest first.
 */
function visibleVersions(requester: Requester, versions: readonly RuleVersion[]): readonly RuleVersion[] {
  return versions.filter((each, index) => {
    const { rule } = versions.slice(index).find((older) => older.rule !== undefined) ?? each;
    return rule !== undefined && maySeeRule(requester, rule);
  });
}

/** Returns whether the requester may see a device of the rule. */
export function maySeeRule(requester: Requester, { devices }: Pick<Rule, 'devices'>): boolean {
  return devices.some((pattern) => maySee(requester, pattern));
}

/** Returns whether the requester may know of a rule. A refusal about another one must not name its devices. */
function isVisible(requester: Requester, { body }: RuleRow): boolean {
  return body === '' || maySeeRule(requester, JSON.parse(body) as Rule);
}

/** Throws `forbidden`: a rule of other devices must not be replaced by one of the same ID. */
function assertMaySeeRule(requester: Requester, { body }: RuleRow): void {
  if (body === '') return;
  for (const pattern of (JSON.parse(body) as Rule).devices) assertMaySee(requester, pattern);
}

async function lockRule(transaction: Queryable, id: string): Promise<RuleRow | undefined> {
  const { rows } = await transaction.query<RuleRow>('SELECT id, version, body FROM rules WHERE id = $1 FOR UPDATE', [
    id,
  ]);
  return rows[0];
}

async function storeVersion(
  transaction: Queryable,
  id: string,
  version: number,
  body: string,
  { subject }: Requester,
  nowMs: number,
): Promise<void> {
  // A rule that was created at the same time has another first version now.
  const { rowCount } = await transaction.query(
    `INSERT INTO rules (id, version, body, changed_ms) VALUES ($1, $2, $3, $4)
     ON CONFLICT (id) DO UPDATE SET version = excluded.version, body = excluded.body, changed_ms = excluded.changed_ms
       WHERE rules.version = excluded.version - 1`,
    [id, version, body, nowMs],
  );
  if (rowCount === 0) throw otherVersion(id, undefined, version - 1);
  await transaction.query(
    'INSERT INTO rule_versions (rule, version, body, author, at_ms) VALUES ($1, $2, $3, $4, $5)',
    [...[id, version, body, subject, nowMs]],
  );
}

async function assertPlace(queryable: Queryable): Promise<void> {
  const { rows } = await queryable.query<{ rules: number }>(`SELECT count(*) AS rules FROM rules WHERE body <> ''`);
  if (rows[0]!.rules < rulesMax) return;
  throw new TailraceError('limit_reached', `rules: expected at most ${rulesMax}, got one more`);
}

function otherVersion(id: string, last: RuleRow | undefined, version: number | undefined): TailraceError {
  const found = last === undefined || last.body === '' ? '0, as it does not exist' : String(last.version);
  const text =
    version === undefined
      ? `version: expected ${found} in the query, got none`
      : `expected the last version, ${found}, got ${version}`;
  return new TailraceError('conflict', `rule ${id}: ${text}`);
}

function unknownRule(id: string): TailraceError {
  return new TailraceError('not_found', `rule: expected the ID of one, got ${shown(id)}`);
}
