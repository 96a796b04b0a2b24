import type { CommandReply, DeviceCommand } from '@tailrace/client/device';
import { commandContentOf } from '@tailrace/protocol/command-content';
import { TailraceError } from '@tailrace/protocol/error';
import type { Disk } from '../store/stored-entries.ts';

/** What is stored of a command. */
interface StoredCommand {
  readonly id: string;
  /** As `commandContentOf` returns it. */
  readonly content: string;
  /** Its deadline, epoch ms; absent: stored by an earlier version. */
  readonly untilMs?: number;
  /** Rises with each command; absent: stored by an earlier version. */
  readonly number?: number;
  /** Absent: it was taken, and nothing is known of its result. */
  readonly reply?: CommandReply;
}

interface KnownCommand {
  readonly number: number;
  readonly slot: number;
  readonly content: string;
  readonly untilMs: number;
  reply: CommandReply | undefined;
}

/** Commands that are remembered. */
export const commandsMax = 1_000;
const keyOf = (slot: number) => `command/${slot}`;
/** How much later than its deadline a command may still arrive, from a server whose clock differs, ms. */
const lateMs = 5_000;
/** Messages of a reply that are stored. */
const messageCharactersMax = 200;

/**
 * The commands that the gateway has taken, on disk: a command that is sent again is not executed again, also not after
 * a crash between its execution and its reply. One is forgotten when `commandsMax` others were taken after it, and not
 * before its deadline: a new command is refused while that many wait for theirs.
 */
export class ExecutedCommands {
  #disk: Pick<Disk, 'meta' | 'putMeta'> | undefined;
  readonly #byId = new Map<string, KnownCommand>();
  /** IDs by slot. */
  readonly #slots: (string | undefined)[] = [];
  #fences: Record<string, number> = {};
  #next = 0;

  /** The store is open: reads what former processes have taken. */
  open(disk: Pick<Disk, 'meta' | 'putMeta'>): void {
    this.#disk = disk;
    this.#next = (disk.meta('commands/next') as number | undefined) ?? 0;
    this.#fences = (disk.meta('commands/fences') as Record<string, number> | undefined) ?? {};
    this.#byId.clear();
    for (let slot = 0; slot < commandsMax; slot++) {
      const stored = disk.meta(keyOf(slot)) as StoredCommand | undefined;
      this.#slots[slot] = stored?.id;
      if (stored === undefined) continue;
      const { id, content, untilMs = 0, number = 0, reply } = stored;
      this.#byId.set(id, { number, slot, content, untilMs, reply });
    }
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  /** Returns what the command with the ID requests, as `commandContentOf` returns it; undefined if it was not taken. */
  contentOf(id: string): string | undefined {
    return this.#byId.get(id)?.content;
  }

  /** Returns the reply to a command that was taken; undefined while there is none. */
  replyTo(id: string): CommandReply | undefined {
    return this.#byId.get(id)?.reply;
  }

  /** Returns the number of commands whose deadlines have not passed at epoch `nowMs`: of `commandsMax`. */
  unexpired(nowMs: number): number {
    let count = 0;
    for (const { untilMs } of this.#byId.values()) if (untilMs > nowMs) count++;
    return count;
  }

  /** Returns the highest fence of the device; 0 without one. */
  fenceOf(device: string): number {
    return this.#fences[device] ?? 0;
  }

  /**
   * Resolves when the command is on disk: from now on it is not executed again. `deadlineMs`: epoch. Rejects with
   * `unavailable` where there is no store, and `rate_limited` while none can be forgotten.
   */
  async take(
    command: Pick<DeviceCommand, 'id' | 'device' | 'name' | 'params' | 'fence'>,
    nowMs: number,
    deadlineMs: number,
  ): Promise<void> {
    if (this.#disk === undefined) throw new TailraceError('unavailable', 'the store of the gateway is not open');
    const { id, device, fence } = command;
    const slot = this.#freeSlot(nowMs);
    const number = this.#next++;
    const content = commandContentOf(command);
    const untilMs = deadlineMs + lateMs;
    const former = this.#slots[slot];
    if (former !== undefined) this.#byId.delete(former);
    this.#slots[slot] = id;
    this.#byId.set(id, { number, slot, content, untilMs, reply: undefined });
    const writes = [
      this.#disk.putMeta(keyOf(slot), { id, content, untilMs, number } satisfies StoredCommand),
      this.#disk.putMeta('commands/next', this.#next),
    ];
    if (fence > this.fenceOf(device)) {
      this.#fences = { ...this.#fences, [device]: fence };
      writes.push(this.#disk.putMeta('commands/fences', this.#fences));
    }
    try {
      await Promise.all(writes);
    } catch (thrown) {
      this.#byId.delete(id);
      this.#slots[slot] = undefined;
      throw thrown;
    }
  }

  /** Remembers the reply. One that cannot be stored is known until the process stops. */
  finish(id: string, reply: CommandReply): void {
    const command = this.#byId.get(id);
    if (command === undefined) return;
    command.reply = reply;
    const message = reply.message?.slice(0, messageCharactersMax);
    const { slot, content, untilMs, number } = command;
    const stored: StoredCommand = {
      ...{ id, content, untilMs, number },
      reply: message === undefined ? reply : { ...reply, message },
    };
    void this.#disk?.putMeta(keyOf(slot), stored).catch(() => {});
  }

  /** Returns the slot of the oldest command whose deadline has passed. Throws `rate_limited` if none has. */
  #freeSlot(nowMs: number): number {
    let oldest: KnownCommand | undefined;
    // From the slot after the last one on, which is the oldest in general.
    for (let step = 0; step < commandsMax; step++) {
      const slot = (this.#next + step) % commandsMax;
      const id = this.#slots[slot];
      const known = id === undefined ? undefined : this.#byId.get(id);
      if (known === undefined) return slot;
      if (known.untilMs > nowMs) continue;
      if (oldest === undefined || known.number < oldest.number) oldest = known;
      if (step === 0) return slot;
    }
    if (oldest !== undefined) return oldest.slot;
    const message = `expected at most ${commandsMax} commands before their deadlines, got one more`;
    throw new TailraceError('rate_limited', message);
  }
}
