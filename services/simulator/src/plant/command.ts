import { shown, TailraceError } from '@tailrace/protocol/error';
import type { Reading } from '@tailrace/protocol/report';

/** A command to a device of the plant. */
export interface PlantCommand {
  readonly name: string;
  readonly params: Readonly<Record<string, Reading['value']>>;
}

/** The commands that machines of one kind obey, as pure functions of their state. */
export interface CommandSet<State> {
  /** Commands without parameters, by name. One that the machine refuses in its state throws `forbidden`. */
  readonly actions?: Readonly<Record<string, (state: State) => State>>;
  /** What `set` changes, by tag. The machine reports each set point under the same tag. */
  readonly setpoints?: Readonly<Record<string, Setpoint<State>>>;
  /** What `set` switches on and off, by tag. */
  readonly switches?: Readonly<Record<string, (state: State, value: boolean) => State>>;
}

export interface Setpoint<State> {
  /** Bounds, in the unit of the tag. */
  readonly low: number;
  readonly high: number;
  apply(state: State, value: number): State;
}

/** Returns the command that a write of one tag stands for, where a protocol has writes and no commands. */
export function commandOfWrite(tag: string, value: number | boolean): PlantCommand {
  if (typeof value === 'number') return { name: 'set', params: { [tag]: value } };
  const [on, off] = tag === 'open' ? (['open', 'close'] as const) : (['start', 'stop'] as const);
  return { name: value ? on : off, params: {} };
}

/** For machines that run only while they are enabled. */
export const startAndStop = {
  start: <State extends { readonly isEnabled: boolean }>(state: State): State => ({ ...state, isEnabled: true }),
  stop: <State extends { readonly isEnabled: boolean }>(state: State): State => ({ ...state, isEnabled: false }),
};

/**
 * Returns the state after a command. Throws `not_found` for an unknown command or tag, `invalid_message` for parameters
 * of another form, and `forbidden` for a value out of bounds or a command that the machine refuses in its state.
 */
export function obey<State>(state: State, command: PlantCommand, commands: CommandSet<State>): State {
  const { actions = {}, setpoints = {}, switches = {} } = commands;
  const params = Object.entries(command.params);
  const tags = [...Object.keys(switches), ...Object.keys(setpoints)];
  if (command.name === 'set' && tags.length > 0) {
    if (params.length === 0)
      throw new TailraceError('invalid_message', `params: expected ${tags.join(', ')}, got none`);
    return params.reduce((changed, [tag, value]) => withTag(changed, tag, value, commands), state);
  }
  const action = Object.hasOwn(actions, command.name) ? actions[command.name] : undefined;
  if (action === undefined) {
    const names = [...Object.keys(actions), ...(tags.length > 0 ? ['set'] : [])];
    const expected = names.length === 0 ? 'no command' : names.join(', ');
    throw new TailraceError('not_found', `command: expected ${expected}, got ${shown(command.name)}`);
  }
  if (params.length > 0) {
    throw new TailraceError(
      'invalid_message',
      `params of ${command.name}: expected none, got ${shown(command.params)}`,
    );
  }
  return action(state);
}

function withTag<State>(
  state: State,
  tag: string,
  value: Reading['value'],
  { setpoints = {}, switches = {} }: CommandSet<State>,
): State {
  const toggle = Object.hasOwn(switches, tag) ? switches[tag] : undefined;
  if (toggle !== undefined) {
    if (typeof value === 'boolean') return toggle(state, value);
    throw new TailraceError('invalid_message', `params.${tag}: expected true or false, got ${shown(value)}`);
  }
  const setpoint = Object.hasOwn(setpoints, tag) ? setpoints[tag] : undefined;
  if (setpoint === undefined) {
    const expected = [...Object.keys(switches), ...Object.keys(setpoints)].join(', ');
    throw new TailraceError('not_found', `params: expected ${expected}, got ${shown(tag)}`);
  }
  if (typeof value !== 'number' || !Number.isFinite(value)) {
    throw new TailraceError('invalid_message', `params.${tag}: expected a number, got ${shown(value)}`);
  }
  const { low, high } = setpoint;
  if (value < low || value > high) {
    throw new TailraceError('forbidden', `params.${tag}: expected ${low} to ${high}, got ${value}`);
  }
  return setpoint.apply(state, value);
}
