import { type CommandTransition, isFinal } from '@tailrace/client/control';

export type CommandValue = number | boolean | string;

/** Returns the value that a person has typed: a number, true or false, else the text. */
export function commandValueFrom(text: string): CommandValue {
  const trimmed = text.trim();
  if (trimmed === 'true' || trimmed === 'on') return true;
  if (trimmed === 'false' || trimmed === 'off') return false;
  const number = Number(trimmed.replace(/^([+-]?\d+),(\d+)$/, '$1.$2'));
  return trimmed === '' || !Number.isFinite(number) ? trimmed : number;
}

/** Returns a command as a person would write it: `set target = 17`. */
export function commandText({ name = '', params = {} }: Pick<CommandTransition, 'name' | 'params'>): string {
  const values = Object.entries(params).map(([tag, value]) => `${tag} = ${value}`);
  return [name, values.join(', ')].filter((each) => each !== '').join(' ');
}

const stateWords: Readonly<Record<string, string>> = {
  accepted: 'accepted',
  queued: 'waits for the device',
  sent: 'sent',
  delivered: 'delivered',
  done: 'done',
  failed: 'failed',
  expired: 'expired, not executed',
  canceled: 'canceled',
  unconfirmed: 'unconfirmed: it may have been executed',
};

/** After its deadline the final state of a command follows within this time, ms, unless control is away. */
const finalWithinMs = 5_000;

/** Returns the words for the state of a command. */
export function commandStateWord(
  command: Pick<CommandTransition, 'state' | 'awaits' | 'deadline'>,
  nowMs: number,
): string {
  const { state, awaits, deadline = Number.POSITIVE_INFINITY } = command;
  const words = awaits === 'confirmation' ? 'waits for a second person' : (stateWords[state] ?? state);
  const isOverdue = state !== 'unconfirmed' && !isFinal(command) && nowMs > deadline + finalWithinMs;
  return isOverdue ? `${words}, outcome not known` : words;
}

/** Commands of a device that are shown. */
const shownMax = 5;

/**
 * Returns the commands of a device with one more state, the newest command first. One of the states may come twice, and
 * commands in progress stay before others are left out.
 */
export function withState(
  commands: readonly CommandTransition[],
  transition: CommandTransition,
): readonly CommandTransition[] {
  const index = commands.findIndex(({ id }) => id === transition.id);
  if (index === -1) {
    const all = [transition, ...commands];
    const drop = all.length <= shownMax ? -1 : all.findLastIndex(isFinal);
    return all.filter((_, at) => at !== drop);
  }
  if (commands[index]!.number >= transition.number) return commands;
  return commands.with(index, transition);
}
