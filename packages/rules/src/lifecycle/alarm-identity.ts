import { hash } from 'node:crypto';

/** 132 bits: two of 10^15 alarms share a hash with a probability below 10^-9. */
const hashCharacters = 22;

/**
 * Returns the ID of the activation of a rule at a device: the same for the same report, whichever process evaluates it.
 * `epoch` and `seq` are the position of the report in the telemetry topic, which has activated the alarm.
 */
export function alarmId(rule: string, device: string, epoch: string, seq: number): string {
  return hash('sha256', `alarm\n${rule}\n${device}\n${epoch}\n${seq}`, 'base64url').slice(0, hashCharacters);
}

/**
 * Returns the ID of a transition; `number` rises by one with each of the rule at the device. `epoch` is that of the
 * topic of events: after it was lost with the checkpoints, numbers start again, and are those of other transitions.
 */
export function transitionId(rule: string, device: string, epoch: string, number: number): string {
  return hash('sha256', `transition\n${rule}\n${device}\n${epoch}\n${number}`, 'base64url').slice(0, hashCharacters);
}
