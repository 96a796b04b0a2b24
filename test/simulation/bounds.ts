import { limits, partitions } from './limits.ts';
import type { SimulatedNode } from './node.ts';
import type { World } from './world.ts';

/** I7: no limit is exceeded. Checked after every step. */
export class Bounds {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  check(): void {
    for (const node of this.#world.nodes.values()) this.#check(node);
  }

  #check({ name, inside, connections, bus }: SimulatedNode): void {
    if (inside === undefined) return;
    const { ownership } = inside;
    const held = ownership.table.heldBytes;
    if (held > limits.heldBytesMax * partitions) this.#addViolation(`${name} holds ${held} bytes of frames`);
    for (const { number, window } of ownership.partitions) {
      if (window.bytes > limits.windowBytesMax)
        this.#addViolation(`${name} has ${window.bytes} bytes in the window of partition ${number}`);
    }
    const { records, recordsMax } = ownership.queue();
    if (records > recordsMax) this.#addViolation(`${name} has ${records} records waiting`);
    const { memory, queued } = inside.work;
    if (memory.heldBytes > memory.bytesMax)
      this.#addViolation(`${name} holds ${memory.heldBytes} bytes for catching up`);
    if (queued > limits.queuedTasksMax) this.#addViolation(`${name} has ${queued} tasks waiting`);
    const { ids, ranges } = ownership;
    if (ids.ids > ids.limits.idsMax) this.#addViolation(`${name} remembers ${ids.ids} message IDs`);
    const { blocks } = ranges;
    if (blocks.bytes > blocks.bytesMax) this.#addViolation(`${name} keeps ${blocks.bytes} bytes of log blocks`);
    const { pendingBytes, pendingBytesMax } = bus.stats();
    if (pendingBytes > pendingBytesMax) this.#addViolation(`${name} has ${pendingBytes} bytes pending for the bus`);
    for (const connection of connections) {
      const bytes = connection.getBufferedAmount();
      // A socket accepts a frame as long as no more than the bound waits in it.
      if (bytes > limits.socketBytesMax + connection.frameBytesMost)
        this.#addViolation(`a socket of ${name} has ${bytes} bytes waiting`);
    }
  }

  #addViolation(what: string): void {
    this.#world.violations.add('I7 bounds', `${what}, which is above its limit`);
  }
}
