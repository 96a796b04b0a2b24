import type { CommandValue, ConfirmedBy } from '@tailrace/protocol/device-command';
import { tailrace } from '@tailrace/protocol/generated';
import { type Command, type CommandProgress, commandProgress } from './command.ts';

const { Event } = tailrace.v1;

const confirmations: readonly (ConfirmedBy | '')[] = ['', 'device', 'read_back', 'protocol'];

/** Returns a command after its last transition, as watchers and its sender get it. */
export function transitionMessage(command: Command): tailrace.v1.ICommandTransition {
  const { id, key, device, name, params, number, state, changed, sender, code, message } = command;
  const { confirmedBy, before, after, deadline, awaits, approver, isFinal } = command;
  return {
    ...{ id, key, device, name, number, time: changed, by: sender, code, message, deadline, awaits, approver },
    params: Object.fromEntries(Object.entries(params).map(([param, value]) => [param, valueMessage(value)])),
    state: progressNumber(state),
    confirmedBy: confirmations.indexOf(confirmedBy),
    ...(before === undefined ? {} : { before: valueMessage(before) }),
    ...(after === undefined ? {} : { after: valueMessage(after) }),
    final: isFinal,
  };
}

/** Returns the record of `<prefix>.events` of the last transition of a command. */
export function commandEvent(command: Command): Uint8Array {
  return Event.encode({ commandTransition: transitionMessage(command) }).finish();
}

/** Returns the value of a parameter; undefined for one without a type. */
export function commandValueFrom(message: tailrace.v1.ICommandValue | null | undefined): CommandValue | undefined {
  return message?.number ?? message?.boolean ?? message?.text ?? undefined;
}

function progressNumber(state: CommandProgress): number {
  // UNSPECIFIED is 0.
  return commandProgress.indexOf(state) + 1;
}

function valueMessage(value: CommandValue): tailrace.v1.ICommandValue {
  if (typeof value === 'number') return { number: value };
  return typeof value === 'boolean' ? { boolean: value } : { text: value };
}
