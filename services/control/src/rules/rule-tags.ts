import type { Queryable } from '@tailrace/database/database';
import { isTailraceError, shown } from '@tailrace/protocol/error';
import { suggestionFor } from '@tailrace/protocol/suggestion';
import { compileExpression } from '@tailrace/rules/expression';
import { type TagType, typeOf } from '@tailrace/rules/expression-value';
import { expressionsOf, type Rule } from '@tailrace/rules/rule';
import { activePaths, tagsOfDevices } from '../registry/device-store.ts';
import type { FanoutOwners } from '../registry/fanout-owners.ts';

/** Devices whose last values are read; the tags of a rule with more are not checked. */
const devicesMax = 100;
const readMs = 1_000;

type Types = ReadonlyMap<string, TagType | 'unknown'>;

/** The tags of rules, as far as the devices of a rule have last values. */
export class RuleTags {
  readonly #owners: Pick<FanoutOwners, 'current'>;

  constructor(owners: Pick<FanoutOwners, 'current'>) {
    this.#owners = owners;
  }

  /**
   * Resolves with what is wrong in the conditions of a rule by the last values of its devices, a line each: a tag that
   * none of them has, values of different types. Nothing, if no values are known, or the rule has many devices. Never
   * rejects but for the database.
   */
  async errorsOf(queryable: Queryable, rule: Rule): Promise<readonly string[]> {
    const types = await this.#typesOf(queryable, rule);
    if (types === undefined) return [];
    const errors: string[] = [];
    const check = (place: string, tag: string | undefined) => {
      if (tag !== undefined && !types.has(tag)) errors.push(`${place}: ${unknownTag(tag, types)}`);
    };
    check('condition.tag', tagOf(rule.condition));
    for (const [index, { condition }] of rule.overrides.entries())
      if (condition !== undefined) check(`overrides.${index}.condition.tag`, tagOf(condition));
    for (const [index, { tag }] of (rule.inhibition?.states ?? []).entries())
      check(`inhibition.states.${index}.tag`, tag);
    for (const { path, text } of expressionsOf(rule)) {
      try {
        compileExpression(text, types);
      } catch (error) {
        if (!isTailraceError(error)) throw error;
        errors.push(`${path.join('.')}: ${error.message}`);
      }
    }
    return errors;
  }

  /** Resolves with the tags of the devices of a rule; undefined if not all of them are known. */
  async #typesOf(queryable: Queryable, { devices, where }: Rule): Promise<Types | undefined> {
    const { kind = '', labels = {} } = where ?? {};
    const paths = await activePaths(queryable, { patterns: [...devices], kind, labels }, devicesMax + 1);
    if (paths.length > devicesMax) return undefined;
    const current = await this.#owners.current(paths, readMs).catch(() => undefined);
    if (current === undefined) return undefined;
    const types = new Map<string, TagType | 'unknown'>();
    for (const { readings } of current.values())
      for (const [tag, { value }] of readings) {
        const type = typeOf(value);
        types.set(tag, (types.get(tag) ?? type) === type ? type : 'unknown');
      }
    if (types.size === 0) return undefined;
    // What people have written of a device that is to report it.
    for (const tag of await tagsOfDevices(queryable, paths)) if (!types.has(tag)) types.set(tag, 'unknown');
    return types;
  }
}

function tagOf(condition: Rule['condition']): string | undefined {
  return 'tag' in condition ? condition.tag : undefined;
}

function unknownTag(tag: string, types: Types): string {
  const nearest = suggestionFor(tag, [...types.keys()]);
  const hint = nearest === undefined ? '' : `; did you mean ${nearest}?`;
  return `expected a tag that a matched device reports, got ${shown(tag)}${hint}`;
}
