import type { CommandAnswer, CommandReply, DeviceCommand } from '@tailrace/client/device';
import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import { commandContentOf } from '@tailrace/protocol/command-content';
import { type ErrorCode, shown, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { WriteResult, WriteTurn } from '../read-back.ts';
import type { Sample, Value } from '../sample.ts';
import type { Source } from '../source.ts';
import { writeRefusal } from '../write-bounds.ts';
import type { CommandDefinition } from './command-definition.ts';
import type { ExecutedCommands } from './executed-commands.ts';
import { KeyedMutex } from './keyed-mutex.ts';

/** A source, and the samples of its tags. */
export interface CommandTarget {
  readonly source: Source;
  /** Calls the listener for each sample. Returns a function that removes it. */
  readonly onSample: (listener: (sample: Sample) => void) => () => void;
}

export interface CommandExecutorOptions {
  readonly targets: readonly CommandTarget[];
  readonly definitions: readonly CommandDefinition[];
  readonly executed: ExecutedCommands;
  /** False: every command is refused. */
  readonly isEnabled: boolean;
  /** Called for each command that was answered. */
  readonly onFinished: (state: CommandReply['state']) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A tag and its value. */
interface TagWrite {
  readonly target: CommandTarget;
  /** Position in the list of the source. */
  readonly tag: number;
  readonly value: Value;
}

interface Plan {
  readonly writes: readonly TagWrite[];
  /** The tag and value that show that the command is done. */
  readonly confirm: TagWrite | undefined;
}

/** Commands that wait or run, of all devices. */
export const waitingMax = 64;

/** A write of a rule. */
export interface RuleWrite {
  readonly device: string;
  readonly tag: string;
  readonly value: Value;
  /** Whether it is written also while commands are off. */
  readonly isSafety: boolean;
  /** Called when its turn has come. Returns whether it is still to be written. */
  readonly start: () => boolean;
}

/**
 * Executes commands as writes to the tags of sources: one at a time for each device, each ID once. The order of checks:
 * deadline, switch, fence, name and values, state of the source. Then the ID goes to the disk, and only then is
 * something written. What a write did is decided by reading it back (`read-back.ts`); a write is never repeated.
 *
 * The writes of a command are one unit: no write of a rule comes between them. It waits for those of the command that
 * runs, and for no command that waits, and not until another tag confirms the command.
 *
 * A write whose answer was lost holds the others of its device as long as the device may still do it, and not until it
 * is read back, which may take as long as a reconnect. Then a command has no further writes.
 */
export class CommandExecutor {
  /** Commands that wait or run. */
  waiting = 0;
  /** Writes of rules that wait or run: at most one of each action. */
  waitingRuleWrites = 0;
  readonly #options: CommandExecutorOptions;
  readonly #tags = new Map<string, { readonly target: CommandTarget; readonly tag: number }>();
  readonly #definitions = new Map<string, CommandDefinition>();
  /** Commands that are executed now. */
  readonly #running = new Set<string>();
  /** By device: its commands. */
  readonly #commands = new KeyedMutex();
  /** By device: the writes of the command that runs, and those of rules. */
  readonly #writes = new KeyedMutex();
  /** By device and tag: the write that is in progress, or is read back. */
  readonly #turns = new Map<string, Turn>();

  constructor(options: CommandExecutorOptions) {
    this.#options = options;
    for (const target of options.targets) {
      for (const [tag, { device, tag: name }] of target.source.tags.entries())
        this.#tags.set(keyOf(device, name), { target, tag });
    }
    for (const definition of options.definitions) {
      this.#definitions.set(keyOf(definition.device, definition.name), definition);
    }
  }

  /** Executes a command, and answers it. */
  execute(command: DeviceCommand, answer: CommandAnswer): void {
    const { executed } = this.#options;
    const { id } = command;
    if (executed.has(id) && executed.contentOf(id) !== commandContentOf(command)) {
      const message = `id: expected a new one, got ${shown(id)}, which a command with another content has`;
      answer.reply(failed('conflict', message));
      return;
    }
    if (executed.has(id)) {
      answer.delivered();
      const reply = executed.replyTo(id);
      if (reply !== undefined) answer.reply(reply);
      else if (!this.#running.has(id)) {
        answer.reply({ state: 'unconfirmed', message: 'the gateway has stopped while it executed the command' });
      }
      return;
    }
    if (this.waiting >= waitingMax) {
      this.#finish(
        command,
        answer,
        failed('rate_limited', `expected at most ${waitingMax} commands that wait, got more`),
      );
      return;
    }
    this.waiting++;
    void this.#commands.run(command.device, (release) => this.#execute(command, answer, release));
  }

  /** Writes a value of a rule, between the commands of its device. Resolves with what it did. Never rejects. */
  async write({ device, tag, value, isSafety, start }: RuleWrite): Promise<WriteResult> {
    const place = this.#tags.get(keyOf(device, tag));
    if (!this.#options.isEnabled && !isSafety) {
      return { state: 'failed', code: 'forbidden', message: 'commands are off' };
    }
    if (place === undefined) return { state: 'failed', code: 'unavailable', message: 'no source has the tag' };
    this.waitingRuleWrites++;
    try {
      return await this.#writes.run(device, async (release) => {
        if (start()) return await this.#writeTag({ ...place, value }, ruleDeadlineMs, release);
        return { state: 'failed', code: 'unavailable', message: 'not written: the rule is clear again' };
      });
    } catch (error) {
      this.#options.logger.error({ error, device }, 'a write of a rule failed by an internal error');
      return { state: 'unconfirmed', message: 'internal error' };
    } finally {
      this.waitingRuleWrites--;
    }
  }

  async #execute(command: DeviceCommand, answer: CommandAnswer, release: () => void): Promise<void> {
    const { id, device } = command;
    this.#running.add(id);
    let reply: CommandReply;
    try {
      reply = await this.#run(command, answer, release);
    } catch (error) {
      this.#options.logger.error({ error, device }, 'a command failed by an internal error');
      reply = { state: 'unconfirmed', code: 'internal', message: 'internal error of the gateway' };
    }
    this.#running.delete(id);
    this.waiting--;
    this.#finish(command, answer, reply);
  }

  #finish({ id, device, name }: DeviceCommand, answer: CommandAnswer, reply: CommandReply): void {
    const { executed, logger, onFinished } = this.#options;
    onFinished(reply.state);
    executed.finish(id, reply);
    logger.info({ command: id, device, name, ...reply }, `command ${reply.state}`);
    answer.reply(reply);
  }

  async #run(command: DeviceCommand, answer: CommandAnswer, release: () => void): Promise<CommandReply> {
    const { executed, isEnabled, clock } = this.#options;
    const { device, fence, expiresAtMs } = command;
    if (expiresAtMs <= clock.monotonic()) return expired();
    if (!isEnabled) return failed('forbidden', 'commands are off in the gateway: the setting commandsEnabled');
    if (fence > 0 && fence < executed.fenceOf(device)) {
      return failed('conflict', `fence: expected at least ${executed.fenceOf(device)}, got ${fence}`);
    }
    const plan = this.#plan(command);
    if ('state' in plan) return plan;
    const away = plan.writes.find(({ target }) => !target.source.isLive);
    if (away !== undefined) {
      const { name, state } = away.target.source;
      return failed('unavailable', `the source ${name} does not answer: ${state}`);
    }
    try {
      const nowMs = clock.now();
      await executed.take(command, nowMs, nowMs + expiresAtMs - clock.monotonic());
    } catch (thrown) {
      const { code, message } = tailraceErrorFrom(thrown);
      if (code === 'rate_limited') return failed(code, message);
      return failed('unavailable', 'nothing was written: the store of the gateway refuses the command');
    }
    answer.delivered();
    return this.#write(device, plan, expiresAtMs, release);
  }

  /** Returns what the command writes, or why it must not. */
  #plan({ device, name, params }: DeviceCommand): Plan | CommandReply {
    const definition = this.#definitions.get(keyOf(device, name));
    if (definition === undefined && name !== 'set') {
      return failed(
        'not_found',
        `name: expected set, or a command of ${device} in the sources file, got ${shown(name)}`,
      );
    }
    const values = definition?.set ?? params;
    if (definition !== undefined && Object.keys(params).length > 0) {
      return failed('invalid_message', `params: expected none for ${name}, got ${shown(params)}`);
    }
    const writes: TagWrite[] = [];
    for (const [tag, value] of Object.entries(values)) {
      const place = this.#tags.get(keyOf(device, tag));
      if (place === undefined) return failed('not_found', `params: expected tags of ${device}, got ${shown(tag)}`);
      const refusal = writeRefusal(place.target.source.tags[place.tag]!.write, value);
      if (refusal !== undefined) return failed('forbidden', `${tag}: ${refusal}`);
      writes.push({ ...place, value });
    }
    if (writes.length === 0) return failed('invalid_message', 'params: expected at least one tag, got none');
    const confirm = definition?.confirm;
    if (confirm === undefined) return { writes, confirm };
    return { writes, confirm: { ...this.#tags.get(keyOf(device, confirm.tag))!, value: confirm.value } };
  }

  async #write(device: string, plan: Plan, expiresAtMs: number, release: () => void): Promise<CommandReply> {
    const { clock } = this.#options;
    const { confirm } = plan;
    // From before the write: the PLC may be fast.
    const confirmation = confirm && new Confirmation(confirm);
    try {
      const reply = await this.#writes.run(device, (releaseWrites) =>
        this.#writeAll(plan, expiresAtMs, () => {
          releaseWrites();
          release();
        }),
      );
      if (confirmation === undefined || reply.state !== 'done') return reply;
      if (await confirmation.within(expiresAtMs - clock.monotonic(), clock)) return reply;
      return { state: 'unconfirmed', message: 'it was written, and the tag that confirms it has another value' };
    } finally {
      confirmation?.stop();
    }
  }

  async #writeTag({ target, tag, value }: TagWrite, deadlineMs: number, release: () => void): Promise<WriteResult> {
    const { source } = target;
    const { device, tag: name } = source.tags[tag]!;
    const key = keyOf(device, name);
    const before = this.#turns.get(key);
    if (before !== undefined) before.isOvertaken = true;
    const turn = new Turn(release);
    this.#turns.set(key, turn);
    try {
      return await source.write(tag, value, deadlineMs, turn);
    } finally {
      if (this.#turns.get(key) === turn) this.#turns.delete(key);
    }
  }

  async #writeAll({ writes, confirm }: Plan, expiresAtMs: number, release: () => void): Promise<CommandReply> {
    const { clock } = this.#options;
    let isReleased = false;
    const onRelease = () => {
      isReleased = true;
      release();
    };
    // A write of a rule came before.
    if (expiresAtMs <= clock.monotonic()) return expired();
    let reply: CommandReply = { state: 'done', confirmedBy: 'read_back' };
    for (const [index, write] of writes.entries()) {
      const { target, tag } = write;
      // Others may have written since.
      if (isReleased) {
        const message = `${index} of ${writes.length} tags were written; an answer was lost, and it took too long to read back`;
        return { state: 'unconfirmed', message };
      }
      const result = await this.#writeTag(write, expiresAtMs - clock.monotonic(), onRelease);
      // A request that the PLC has reset is confirmed by the other tag.
      if (result.state === 'failed' && result.code === 'conflict' && confirm !== undefined) continue;
      if (result.state !== 'done') return partReply(target.source.tags[tag]!.tag, index, writes.length, result);
      if (writes.length === 1) reply = { ...result, confirmedBy: 'read_back' };
    }
    return reply;
  }
}

/** One write of a tag. */
class Turn implements WriteTurn {
  isOvertaken = false;
  readonly release: () => void;

  constructor(release: () => void) {
    this.release = release;
  }
}

/** Waits for a sample of a tag with a value. */
class Confirmation {
  #isConfirmed = false;
  #done = () => {};
  readonly stop: () => void;

  constructor({ target, tag, value }: TagWrite) {
    this.stop = target.onSample((sample) => {
      if (sample.tag !== tag || sample.quality === 'bad' || sample.value === undefined) return;
      if (sample.value !== target.source.heldValue(tag, value)) return;
      this.#isConfirmed = true;
      this.#done();
    });
  }

  /** Resolves with whether it came, within `limitMs` from now. */
  within(limitMs: number, clock: Pick<Clock, 'after'>): Promise<boolean> {
    if (this.#isConfirmed) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = clock.after(Math.max(0, limitMs), () => resolve(false));
      this.#done = () => {
        timer.cancel();
        resolve(true);
      };
    });
  }
}

/** Returns the reply to a command of which one write failed. */
function partReply(tag: string, index: number, count: number, result: WriteResult): CommandReply {
  if (count === 1) return result;
  const message = `${tag}: ${result.message ?? result.state}`;
  if (index === 0) return { ...result, message };
  // The machine may have moved by the tags before it.
  return { state: 'unconfirmed', message: `${index} of ${count} tags were written; ${message}` };
}

/** Time in which a write of a rule must be sent, ms. */
const ruleDeadlineMs = 5_000;

function keyOf(device: string, tag: string): string {
  return `${device} ${tag}`;
}

function failed(code: ErrorCode, message: string): CommandReply {
  return { state: 'failed', code, message };
}

function expired(): CommandReply {
  return { state: 'expired', code: 'timeout', message: 'the deadline passed before the command was executed' };
}
