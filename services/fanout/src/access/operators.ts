import type { CommandSwitchState, Notice } from '@tailrace/eventlog/control-record';
import type { ControlTopic } from '@tailrace/eventlog/control-topic';
import type { Clock, Timer } from '@tailrace/platform/clock';
import { type RevocationEntry, type Revocations, revocationFrom } from '@tailrace/platform/revocation';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { isPlainText } from '@tailrace/protocol/text';
import type { Sessions } from '../sessions/sessions.ts';

const severities = ['info', 'warning', 'critical'] as const;

/** UTF-16 code units of an operator's message. */
const noticeCharactersMax = 1_000;

/** UTF-16 code units of the reason of a command switch. */
const reasonCharactersMax = 200;

/** Older notices, which a node reads at its start or late, are not sent to clients, ms. */
const noticeAgeMsMax = 60_000;

/** Revocations come in bursts, and each check visits all clients: they are batched for this long, ms. */
const recheckMs = 50;

/** Applies what this node reads from the control topic: revocations and notices of operators at any node. */
export class ControlActions {
  readonly counts = { revokedSessions: 0, notices: 0 };
  /** Undefined: commands were never turned off. */
  commandSwitch: CommandSwitchState | undefined;
  readonly #revocations: Pick<Revocations, 'merge' | 'revoked'>;
  readonly #sessions: Pick<Sessions, 'endRevoked' | 'broadcast'>;
  readonly #clock: Clock;
  #recheck: Timer | undefined;

  constructor(options: {
    revocations: Pick<Revocations, 'merge' | 'revoked'>;
    sessions: Pick<Sessions, 'endRevoked' | 'broadcast'>;
    clock: Clock;
  }) {
    this.#revocations = options.revocations;
    this.#sessions = options.sessions;
    this.#clock = options.clock;
  }

  /** Takes revocations read from the control topic, new and known ones. */
  onRevocations(entries: readonly RevocationEntry[]): void {
    if (this.#revocations.merge(entries).length === 0) return;
    this.#recheck ??= this.#clock.after(recheckMs, () => {
      this.#recheck = undefined;
      this.counts.revokedSessions += this.#sessions.endRevoked((claims) => this.#revocations.revoked(claims));
    });
  }

  /** Takes a notice read from the control topic. */
  onNotice({ severity, message, time }: Notice): void {
    if (this.#clock.now() - time > noticeAgeMsMax) return;
    this.counts.notices++;
    this.#sessions.broadcast({ notice: { severity, message: message.slice(0, noticeCharactersMax), time } });
  }

  /** Takes the state of the command switch. Ingest obeys it; a fanout node shows it. */
  onCommandSwitch(state: CommandSwitchState): void {
    this.commandSwitch = state;
  }

  stop(): void {
    this.#recheck?.cancel();
  }
}

/**
 * What operators order at this node: a request is checked and appended to the control topic, and every node, this one
 * included, acts on what it reads from there.
 */
export class Operators {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #control: Pick<ControlTopic, 'revoke' | 'notify' | 'switchCommands'>;

  constructor(options: {
    clock: Pick<Clock, 'now'>;
    control: Pick<ControlTopic, 'revoke' | 'notify' | 'switchCommands'>;
  }) {
    this.#clock = options.clock;
    this.#control = options.control;
  }

  /**
   * Resolves when the revocation is durable. Rejects with `invalid_message` for an entry that can match no token, and
   * as `ControlTopic.revoke` does.
   */
  async revoke(entry: RevocationEntry): Promise<void> {
    await this.#control.revoke(revocationFrom(entry));
  }

  /**
   * Switches the commands of all devices `off` or `on`. Resolves when it is durable. Rejects with `invalid_message`,
   * and as `ControlTopic.switchCommands` does.
   */
  async switchCommands(commands: string, reason: string, by: string): Promise<void> {
    if (commands !== 'on' && commands !== 'off')
      throw new TailraceError('invalid_message', `commands: expected on or off, got ${shown(commands)}`);
    if (reason.length > reasonCharactersMax || !isPlainText(reason))
      throw new TailraceError(
        'invalid_message',
        `reason: expected a text of at most ${reasonCharactersMax} characters without control characters, got ${shown(reason)}`,
      );
    await this.#control.switchCommands({ isOff: commands === 'off', reason, by, time: this.#clock.now() });
  }

  /** Sends a notice to every client of every node. Resolves when it is durable. Rejects likewise. */
  async notify(severity: string, message: string): Promise<void> {
    if (!(severities as readonly string[]).includes(severity))
      throw new TailraceError('invalid_message', `severity: expected ${severities.join(', ')}, got ${shown(severity)}`);
    if (message === '' || message.length > noticeCharactersMax)
      throw new TailraceError(
        'invalid_message',
        `message: expected a text of 1 to ${noticeCharactersMax} characters, got ${message.length}`,
      );
    if (!isPlainText(message))
      throw new TailraceError(
        'invalid_message',
        `message: expected a text without control characters and halves of surrogate pairs, got ${shown(message)}`,
      );
    await this.#control.notify({ severity, message, time: this.#clock.now() });
  }
}
