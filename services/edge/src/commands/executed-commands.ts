import type { CommandReply, DeviceCommand } from '@tailrace/client/device';
import { commandContentOf } from '@tailrace/protocol/command-content';
import { TailraceError } from '@tailrace/protocol/error';
import type { Disk } from '../store/stored-entries.ts';

/** What is stored of a command. */
interface StoredCommand {
  readonly id: string;
  /** As `commandContentOf` returns it. */
  readonly content: string;
  /** Absent: it was taken, and nothing is known of its result. */
  readonly reply?: CommandReply;
}

interface KnownCommand {
  readonly number: number;
  readonly content: string;
  reply: CommandReply | undefined;
}

/** Commands that are remembered. */
const commandsMax = 1_000;
const slotOf = (number: number) => `command/${number % commandsMax}`;
/** Messages of a reply that are stored. */
const messageCharactersMax = 200;

/**
 * The commands that the gateway has taken, on disk: a command that is sent again is not executed again, also not after
 * a crash between its execution and its reply.
 */
export class ExecutedCommands {
  #disk: Pick<Disk, 'meta' | 'putMeta'> | undefined;
  readonly #byId = new Map<string, KnownCommand>();
  #fences: Record<string, number> = {};
  #next = 0;

  /** The store is open: reads what former processes have taken. */
  open(disk: Pick<Disk, 'meta' | 'putMeta'>): void {
    this.#disk = disk;
    this.#next = (disk.meta('commands/next') as number | undefined) ?? 0;
    this.#fences = (disk.meta('commands/fences') as Record<string, number> | undefined) ?? {};
    this.#byId.clear();
    for (let number = Math.max(0, this.#next - commandsMax); number < this.#next; number++) {
      const stored = disk.meta(slotOf(number)) as StoredCommand | undefined;
      if (stored !== undefined) this.#byId.set(stored.id, { number, content: stored.content, reply: stored.reply });
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

  /** Returns the highest fence of the device; 0 without one. */
  fenceOf(device: string): number {
    return this.#fences[device] ?? 0;
  }

  /**
   * Resolves when the command is on disk: from now on it is not executed again. Rejects with `unavailable` where there
   * is no store.
   */
  async take(command: Pick<DeviceCommand, 'id' | 'device' | 'name' | 'params' | 'fence'>): Promise<void> {
    if (this.#disk === undefined) throw new TailraceError('unavailable', 'the store of the gateway is not open');
    const { id, device, fence } = command;
    const number = this.#next++;
    const content = commandContentOf(command);
    this.#byId.set(id, { number, content, reply: undefined });
    for (const [oldest, each] of this.#byId) {
      if (each.number > number - commandsMax) break;
      this.#byId.delete(oldest);
    }
    const writes = [
      this.#disk.putMeta(slotOf(number), { id, content } satisfies StoredCommand),
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
      throw thrown;
    }
  }

  /** Remembers the reply. One that cannot be stored is known until the process stops. */
  finish(id: string, reply: CommandReply): void {
    const command = this.#byId.get(id);
    if (command === undefined) return;
    command.reply = reply;
    const message = reply.message?.slice(0, messageCharactersMax);
    const stored: StoredCommand = {
      id,
      content: command.content,
      reply: message === undefined ? reply : { ...reply, message },
    };
    void this.#disk?.putMeta(slotOf(command.number), stored).catch(() => {});
  }
}
