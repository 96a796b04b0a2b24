import { TailraceError } from '@tailrace/protocol/error';
import type { Disk } from '../src/store/stored-entries.ts';

/** A disk queue in memory, which a test fills up, delays and closes without warning. */
export class MemoryDisk implements Disk {
  readonly items = new Map<number, Buffer>();
  readonly values = new Map<string, unknown>();
  bytes = 0;
  isFull = false;
  isClosed = false;
  /** Numbers of each `put`. */
  readonly puts: (readonly number[])[] = [];
  /** Writes wait until it resolves. */
  gate: Promise<void> | undefined;

  get count(): number {
    return this.items.size;
  }

  async put(items: readonly { readonly number: number; readonly value: Buffer }[]): Promise<void> {
    await this.gate;
    if (this.isFull) throw new TailraceError('storage_full', 'the disk is full');
    this.puts.push(items.map(({ number }) => number));
    for (const { number, value } of items) {
      if (this.items.has(number)) throw new TailraceError('internal', `number ${number}: expected a new one`);
      this.items.set(number, value);
      this.bytes += 16 + value.length;
    }
  }

  async remove(numbers: readonly number[]): Promise<void> {
    await this.gate;
    for (const number of numbers) {
      this.bytes -= 16 + (this.items.get(number)?.length ?? -16);
      this.items.delete(number);
    }
  }

  read(from: number, until: number, limit: number): { number: number; value: Buffer }[] {
    const numbers = [...this.items.keys()].filter((number) => number >= from && number < until).sort((a, b) => a - b);
    return numbers.slice(0, limit).map((number) => ({ number, value: this.items.get(number)! }));
  }

  meta(name: string): unknown {
    return structuredClone(this.values.get(name));
  }

  async putMeta(name: string, value: unknown): Promise<void> {
    this.values.set(name, structuredClone(value));
  }

  /** Returns what a process finds after this one was killed. */
  copy(): MemoryDisk {
    const copy = new MemoryDisk();
    for (const [number, value] of this.items) copy.items.set(number, value);
    for (const [name, value] of this.values) copy.values.set(name, value);
    copy.bytes = this.bytes;
    return copy;
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}
