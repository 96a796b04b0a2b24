import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Reading } from '@tailrace/protocol/report';
import type { CommandValue } from '@tailrace/sparkplug/command';
import type { OutboundMessage } from '@tailrace/sparkplug/outbound-message';
import type { DeliveredCommand } from '../devices/device-command.ts';
import type { CommandReporter } from '../mqtt/topic-namespace.ts';

/** A command that was written to an edge node, until its data show the values. */
interface WrittenCommand {
  readonly id: string;
  readonly values: Map<string, Reading['value']>;
  readonly after: Reading['value'];
  readonly expiresAtMs: number;
  readonly reporter: CommandReporter;
}

/** Commands of one device that wait for its data. */
const writtenMax = 64;

/** The edge node in front of a device. */
export interface CommandedNode {
  /** Returns the message that writes metrics. Throws `not_found` and `invalid_message`. */
  messageOf(values: readonly CommandValue[]): OutboundMessage;
  /** Returns whether its client has taken the message. */
  send(message: OutboundMessage): boolean;
}

/**
 * Commands to Sparkplug devices. A device has no commands but writes of its metrics, and no reply: a command is
 * `delivered` when it is written, and `done` when the next data of the device show each value that was written.
 * Without them it is unconfirmed at its deadline.
 */
export class NodeCommands {
  readonly #nowMs: () => number;
  /** By device path. */
  readonly #written = new Map<string, WrittenCommand[]>();

  /** `nowMs`: monotonic. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Sends a command. Returns false if the client takes no message now. A command that cannot be a write fails. */
  deliver(command: DeliveredCommand, reporter: CommandReporter, node: CommandedNode): boolean {
    const { id, device } = command;
    let message: OutboundMessage;
    const values = Object.entries(command.params).map(([name, value]) => ({ name, value: value as Reading['value'] }));
    try {
      if (command.name !== 'set') {
        throw new TailraceError(
          'not_found',
          `command: expected set, got ${shown(command.name)}: Sparkplug has no others`,
        );
      }
      message = node.messageOf(values);
    } catch (thrown) {
      const { code, message: text } = tailraceErrorFrom(thrown);
      reporter.commandReplied({ id, state: 'failed', code, message: text }, device);
      return true;
    }
    const nowMs = this.#nowMs();
    const waiting = (this.#written.get(device) ?? []).filter((each) => each.expiresAtMs > nowMs && each.id !== id);
    if (waiting.length >= writtenMax || !node.send(message)) return false;
    waiting.push({
      id,
      values: new Map(values.map(({ name, value }) => [name, value])),
      after: values[0]!.value,
      expiresAtMs: nowMs + command.expiresInMs,
      reporter,
    });
    this.#written.set(device, waiting);
    // QoS 0: there is no acknowledgment.
    reporter.commandReceived(id);
    return true;
  }

  /** The data of a device have come. */
  readings(device: string, readings: readonly Pick<Reading, 'tag' | 'value' | 'quality'>[]): void {
    const waiting = this.#written.get(device);
    if (waiting === undefined) return;
    const left = waiting.filter((command) => !this.#confirm(device, command, readings));
    if (left.length === 0) this.#written.delete(device);
    else this.#written.set(device, left);
  }

  /** Returns whether the command waits no longer. */
  #confirm(
    device: string,
    { id, values, after, expiresAtMs, reporter }: WrittenCommand,
    readings: readonly Pick<Reading, 'tag' | 'value' | 'quality'>[],
  ): boolean {
    if (this.#nowMs() >= expiresAtMs) return true;
    for (const { tag, value, quality } of readings) {
      const written = values.get(tag);
      if (written !== undefined && quality !== 'bad' && isSame(written, value)) values.delete(tag);
    }
    if (values.size > 0) return false;
    reporter.commandReplied({ id, state: 'done', message: '', confirmedBy: 'read_back', after }, device);
    return true;
  }
}

/** A metric may be a 32-bit number. */
function isSame(written: Reading['value'], read: Reading['value']): boolean {
  if (typeof written !== 'number' || typeof read !== 'number') return written === read;
  return written === read || Math.fround(written) === Math.fround(read);
}
