import type { CommandTransition } from '@tailrace/client/control';
import { commandStateWord } from './command-value.ts';
import { shownTime } from './format.ts';

/** An error of control, or of the way to it. */
export interface ControlError {
  readonly code: string;
  readonly message: string;
}

/**
 * Returns why control has refused something, as a sentence for the user: what they can do about an outage, without its
 * addresses, and any other message with times of this clock.
 */
export function refusalText({ code, message }: ControlError, nowMs: number): string {
  if (code === 'unavailable' || code === 'storage_full') return 'Control is not available at present. Try again.';
  if (code === 'timeout') return 'Control has not answered in time. Check whether it happened before you try again.';
  if (code === 'closed') return 'This page is not connected.';
  return withLocalTimes(message, nowMs);
}

const utcTime = /\b\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z\b/g;

/** Returns a text with its times in UTC as the page shows others. */
export function withLocalTimes(text: string, nowMs: number): string {
  return text.replace(utcTime, (time) => shownTime(Date.parse(time), nowMs));
}

/** Whether a note can lift the refusal: the class of the alarm requires one. */
export function needsNote({ code, message }: ControlError): boolean {
  return code === 'invalid_message' && message.includes('expected a note');
}

/** What is known of a command that the form has sent. */
export interface SentCommandState {
  readonly state: CommandTransition | undefined;
  readonly error: ControlError | undefined;
  /** Why it is tried again. */
  readonly retryError: ControlError | undefined;
  readonly isPending: boolean;
}

/** Returns what the form shows of its last command: at its deadline at the latest, whether it was sent. */
export function sentText(
  { state, error, retryError, isPending }: SentCommandState,
  isConnected: boolean,
  nowMs: number,
): string {
  if (error !== undefined) return notSentText(error, retryError, nowMs);
  if (state !== undefined) return commandStateWord(state, nowMs);
  if (!isPending) return '';
  if (!isConnected) return 'not connected, trying again';
  return retryError === undefined ? 'sending' : 'control does not answer, trying again';
}

function notSentText(error: ControlError, retryError: ControlError | undefined, nowMs: number): string {
  switch (error.code) {
    case 'closed':
      return 'Not sent: this page is not connected.';
    case 'unavailable':
      return `Not sent: ${retryError === undefined ? 'this page is not connected' : 'control does not answer'}. Try again.`;
    case 'timeout':
      return 'Control has not answered: the command may have been executed. Check the device before you try again.';
    default:
      return refusalText(error, nowMs);
  }
}
