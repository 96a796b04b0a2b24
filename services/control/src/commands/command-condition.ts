import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { compileExpression, type Expression } from '@tailrace/rules/expression';
import type { Value } from '@tailrace/rules/expression-value';
import type { CurrentDevice, FanoutOwners } from '../registry/fanout-owners.ts';

/*
 * The condition of a command: an expression over the last values of its device, and the positions of those that the
 * sender has seen. It is checked when the command is submitted, and again right before it is requested of an ingest
 * node, which may be hours later.
 *
 * The last values are those of the fanout node that owns the partition of the device. A reading on its way, from the
 * device to there, is not among them, and the device may change between the check and the command. So it protects from
 * a decision on values that others have changed meanwhile. It is no interlock: that belongs in the machine.
 */

/** Of a command: `onlyIf` is '' for none. */
export interface CommandCondition {
  readonly onlyIf: string;
  /** By tag, the position of the last value that the sender has seen. It must still be the last one. */
  readonly seen: Readonly<Record<string, number>>;
}

/** A last value that a condition has read, and its position in the partition of the device. */
export interface ReadValue {
  readonly value: Value;
  readonly position: number;
}

export const onlyIfCharactersMax = 1_000;
/** Tags in `seen`. */
export const seenTagsMax = 32;
/** Deadline of the reply of the fanout node, ms. */
const readMs = 1_000;
/** Values that an error names. */
const namedMax = 5;

/** Returns whether a command has a condition. */
export function hasCondition({ onlyIf, seen }: CommandCondition): boolean {
  return onlyIf !== '' || Object.keys(seen).length > 0;
}

/** Returns the compiled expression; undefined for none. Throws `invalid_message` with line, column and a caret. */
export function compiledCondition({ onlyIf }: CommandCondition): Expression | undefined {
  if (onlyIf === '') return undefined;
  try {
    return compileExpression(onlyIf);
  } catch (error) {
    const { message } = tailraceErrorFrom(error);
    throw new TailraceError('invalid_message', message.replace(/^expression/, 'onlyIf'), { cause: error });
  }
}

/** Throws `invalid_message` for an invalid expression or position, and beyond the limits of characters and tags. */
export function assertCondition(condition: CommandCondition): void {
  const { onlyIf, seen } = condition;
  if (onlyIf.length > onlyIfCharactersMax)
    throw new TailraceError(
      'invalid_message',
      `onlyIf: expected at most ${onlyIfCharactersMax} characters, got ${onlyIf.length}`,
    );
  compiledCondition(condition);
  const tags = Object.keys(seen);
  if (tags.length > seenTagsMax)
    throw new TailraceError('invalid_message', `seen: expected at most ${seenTagsMax} tags, got ${tags.length}`);
  for (const [tag, position] of Object.entries(seen))
    if (!Number.isSafeInteger(position) || position < 0)
      throw new TailraceError('invalid_message', `seen.${tag}: expected a position, got ${shown(position)}`);
}

/** Checks conditions of commands by the last values of the fanout nodes. */
export class CommandConditions {
  readonly #owners: Pick<FanoutOwners, 'current'>;

  constructor(owners: Pick<FanoutOwners, 'current'>) {
    this.#owners = owners;
  }

  /**
   * Resolves with the values that the condition has read, by tag, if it holds now. Rejects with `conflict` and these
   * values if it does not, or is unknown; with `unavailable` if the values cannot be read; with `invalid_message` for
   * an invalid expression.
   */
  async assertMet(device: string, condition: CommandCondition): Promise<Readonly<Record<string, ReadValue>>> {
    const expression = compiledCondition(condition);
    const current = await this.#read(device);
    assertConditionMet(device, condition, expression, current);
    return valuesOf(tagsOf(condition, expression), current);
  }

  async #read(device: string): Promise<CurrentDevice | undefined> {
    try {
      return (await this.#owners.current([device], readMs)).get(device);
    } catch (cause) {
      throw new TailraceError(
        'unavailable',
        `onlyIf: expected the last values of ${device}, got ${tailraceErrorFrom(cause).message}`,
        { cause },
      );
    }
  }
}

/** Throws `conflict` if a condition does not hold by these values. `current`: undefined for a device without any. */
export function assertConditionMet(
  device: string,
  condition: CommandCondition,
  expression: Expression | undefined,
  current: CurrentDevice | undefined,
): void {
  for (const [tag, seen] of Object.entries(condition.seen)) {
    const position = current?.positions.get(tag);
    if (position === seen) continue;
    const got = position === undefined ? 'no value' : `${position}, with ${shown(current!.readings.get(tag)!.value)}`;
    throw new TailraceError('conflict', `seen.${tag}: expected ${seen} as the position of its last value, got ${got}`);
  }
  if (expression === undefined) return;
  // As in rules: bad quality is no value.
  const read = (tag: string) => {
    const reading = current?.readings.get(tag);
    return reading === undefined || reading.quality === 'bad' ? undefined : reading.value;
  };
  const isMet = expression.evaluate(read);
  if (isMet === true) return;
  const named = expression.tags.slice(0, namedMax).map((tag) => {
    const value = read(tag);
    return value === undefined
      ? `no value of ${tag}`
      : `${tag} = ${shown(value)} at position ${current!.positions.get(tag)}`;
  });
  const result = isMet === undefined ? 'unknown' : 'false';
  throw new TailraceError(
    'conflict',
    `onlyIf: expected ${shown(condition.onlyIf)} of ${device} to hold, got ${[result, ...named].join(', ')}`,
  );
}

function tagsOf({ seen }: CommandCondition, expression: Expression | undefined): readonly string[] {
  return [...new Set([...Object.keys(seen), ...(expression?.tags ?? [])])];
}

function valuesOf(tags: readonly string[], current: CurrentDevice | undefined): Readonly<Record<string, ReadValue>> {
  return Object.fromEntries(
    tags.flatMap((tag) => {
      const value = current?.readings.get(tag)?.value;
      return value === undefined ? [] : [[tag, { value, position: current!.positions.get(tag)! }] as const];
    }),
  );
}
