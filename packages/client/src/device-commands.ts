import { commandContentOf } from '@tailrace/protocol/command-content';
import { type ErrorCode, shown } from '@tailrace/protocol/error';
import type { Reading } from '@tailrace/protocol/reading';
import type { ClientClock } from './clock.ts';
import type { CommandFrame } from './device-frames.ts';
import { notify } from './notify.ts';

/** A command to a device. */
export interface DeviceCommand {
  /** Unique. A command that is sent again has the same ID; the connection passes it on once. */
  readonly id: string;
  /** The device of the connection, or one behind a gateway. */
  readonly device: string;
  readonly name: string;
  readonly params: Readonly<Record<string, Reading['value']>>;
  /** 0: the sender waits for no receipt. */
  readonly qos: 0 | 1 | 2;
  /** Numbers of successive senders with control: one below an earlier one is out of date. 0: none. */
  readonly fence: number;
  /** When it must not be executed any more, monotonic ms of the clock of the connection. */
  readonly expiresAtMs: number;
}

/** What became of a command. */
export interface CommandReply {
  /**
   * - `done`: the device did it.
   * - `failed`: it did not, and will not.
   * - `expired`: it came too late, and was not executed.
   * - `unconfirmed`: nothing shows whether it was executed.
   */
  readonly state: 'done' | 'failed' | 'expired' | 'unconfirmed';
  /** Of a failure. */
  readonly code?: ErrorCode;
  /** At most 500 characters. */
  readonly message?: string;
  /** The value before the command and after it. */
  readonly before?: Reading['value'];
  readonly after?: Reading['value'];
  /** What shows the result. Default: `device`. */
  readonly confirmedBy?: 'device' | 'read_back' | 'protocol';
}

/** Answers one command. Both have no effect the second time. */
export interface CommandAnswer {
  /** The device has the command, and executes it at most once from now on. */
  delivered(): void;
  /** The command is finished. Counts as `delivered`. */
  reply(reply: CommandReply): void;
}

export interface DeviceCommandsOptions {
  readonly clock: ClientClock;
  /** Distinguishes the message IDs of replies from those of former processes. */
  readonly idPrefix: string;
  /** Undefined: every command fails with `not_found`. */
  readonly onCommand: ((command: DeviceCommand, answer: CommandAnswer) => void) | undefined;
  /** Sends the receipt of a command. No effect without a session. */
  sendReceipt(id: string): void;
  /** Sends a reply. No effect without a session. */
  sendReply(reply: SentReply): void;
}

/** A reply to a command, which is sent again in each session until `DeviceCommands.acknowledged` is called. */
export interface SentReply {
  /** The message ID of the reply. */
  readonly id: string;
  /** The ID of the command. */
  readonly command: string;
  /** The device of the command, if it is another one than that of the connection. */
  readonly device: string | undefined;
  readonly reply: CommandReply;
}

/** Commands of which the answers are remembered after their deadlines, for a command that is sent again. */
const commandsMax = 1_000;
/** Commands that are remembered because their deadlines have not passed. Beyond it a new one fails. */
export const openCommandsMax = 10_000;
/** How much later than its deadline a command may still be sent by a server whose clock differs, ms. */
const lateMs = 60_000;
/** Commands that are compared with their deadlines for a new one. */
const comparedMax = 32;
/** Replies without an acknowledgement; the oldest is dropped. The server then sends the command again, or gives up. */
const repliesMax = 64;
/** How long a server knows a command, ms. */
const replyMsMax = 600_000;

interface KnownCommand {
  /** As `commandContentOf` returns it. */
  readonly content: string;
  /** Until then it is not forgotten, monotonic ms: it could be executed again. */
  readonly untilMs: number;
  isDelivered: boolean;
  reply: CommandReply | undefined;
}

interface PendingReply {
  readonly sent: SentReply;
  readonly sinceMs: number;
}

/**
 * The commands of a connection: each reaches the program once, however often it is sent, and not after its deadline.
 * Replies are sent again in the next session until they are acknowledged.
 */
export class DeviceCommands {
  readonly #options: DeviceCommandsOptions;
  readonly #known = new Map<string, KnownCommand>();
  /** By message ID. */
  readonly #replies = new Map<string, PendingReply>();
  #nextReply = 1;
  #isLive = false;

  constructor(options: DeviceCommandsOptions) {
    this.#options = options;
  }

  /** Commands that are remembered: up to `openCommandsMax`. */
  get size(): number {
    return this.#known.size;
  }

  /** A session is live: sends the replies of former sessions. */
  live(): void {
    this.#isLive = true;
    const { clock } = this.#options;
    for (const [id, { sent, sinceMs }] of this.#replies) {
      if (clock.monotonic() - sinceMs > replyMsMax) this.#replies.delete(id);
      else this.#options.sendReply(sent);
    }
  }

  lost(): void {
    this.#isLive = false;
  }

  /** Returns whether the ID is that of a reply, which is acknowledged or refused for good. */
  acknowledged(id: string): boolean {
    return this.#replies.delete(id);
  }

  /** Takes a command. `serverNow`: the clock of the server, epoch ms, estimated from its `hello`. */
  received(frame: CommandFrame, device: string, serverNow: number): void {
    const { id, deadline, expiresInMs } = frame;
    // Of a gateway: the machine, by which the server finds the command at another node.
    const from = frame.device === device ? undefined : frame.device || undefined;
    const { name, params, qos, fence } = frame;
    const to = frame.device === '' ? device : frame.device;
    const content = commandContentOf({ device: to, name, params });
    const known = this.#known.get(id);
    if (known !== undefined && known.content !== content) {
      const message = `id: expected a new one, got ${shown(id)}, which a command with another content has`;
      this.#sendReply(id, from, { state: 'failed', code: 'conflict', message });
      return;
    }
    if (known !== undefined) {
      if (known.isDelivered) this.#sendReceipt(id);
      if (known.reply !== undefined) this.#sendReply(id, from, known.reply);
      return;
    }
    const { onCommand, clock } = this.#options;
    const leftMs = Math.min(expiresInMs, deadline > 0 ? deadline - serverNow : expiresInMs);
    if (!this.#makeRoom()) {
      const message = `expected at most ${openCommandsMax} commands before their deadlines, got one more`;
      this.#sendReply(id, from, { state: 'failed', code: 'rate_limited', message });
      return;
    }
    const untilMs = clock.monotonic() + Math.max(leftMs, 0) + lateMs;
    const command: KnownCommand = { content, untilMs, isDelivered: false, reply: undefined };
    this.#known.set(id, command);
    const answer: CommandAnswer = {
      delivered: () => {
        if (command.isDelivered) return;
        command.isDelivered = true;
        this.#sendReceipt(id);
      },
      reply: (reply) => {
        if (command.reply !== undefined) return;
        command.reply = reply;
        this.#sendReply(id, from, reply);
      },
    };
    if (leftMs <= 0) answer.reply({ state: 'expired', code: 'timeout', message: 'the deadline passed on the way' });
    else if (onCommand === undefined) {
      answer.reply({ state: 'failed', code: 'not_found', message: 'the device takes no commands' });
    } else {
      const expiresAtMs = clock.monotonic() + leftMs;
      notify(() => onCommand({ id, device: to, name, params, qos, fence, expiresAtMs }, answer));
    }
  }

  /**
   * Forgets the oldest commands whose deadlines have passed, down to `commandsMax`. Returns whether one more can be
   * remembered.
   */
  #makeRoom(): boolean {
    const nowMs = this.#options.clock.monotonic();
    // Those behind a command with a late deadline are forgotten later: not all are compared for each command.
    let compared = 0;
    for (const [id, { untilMs }] of this.#known) {
      if (this.#known.size < commandsMax || compared++ >= comparedMax) break;
      if (untilMs <= nowMs) this.#known.delete(id);
      else {
        // At the end, so that the next call compares others.
        const known = this.#known.get(id)!;
        this.#known.delete(id);
        this.#known.set(id, known);
      }
    }
    return this.#known.size < openCommandsMax;
  }

  #sendReceipt(id: string): void {
    if (this.#isLive) this.#options.sendReceipt(id);
  }

  #sendReply(command: string, device: string | undefined, reply: CommandReply): void {
    const { clock, idPrefix } = this.#options;
    const id = `${idPrefix}r${(this.#nextReply++).toString(36)}`;
    const sent = { id, command, device, reply };
    this.#replies.set(id, { sent, sinceMs: clock.monotonic() });
    for (const oldest of this.#replies.keys()) {
      if (this.#replies.size <= repliesMax) break;
      this.#replies.delete(oldest);
    }
    if (this.#isLive) this.#options.sendReply(sent);
  }
}

/** Returns the receipt of a command, on the WebSocket. */
export function receiptText(id: string): string {
  return JSON.stringify({ type: 'ack', msgid: id });
}

/** Returns a reply, on the WebSocket. */
export function replyText({ id, command, device, reply }: SentReply): string {
  return JSON.stringify({ type: 'reply', msgid: id, from: device, qos: 1, payload: { command, ...reply } });
}
