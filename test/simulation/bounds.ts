import { limits, partitions } from './limits.ts';
import type { SimulatedNode } from './node.ts';
import type { World } from './world.ts';

/** I7: nothing holds more than its limit says. Looked at after every step. */
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
    if (held > limits.heldBytesMax * partitions) this.#over(`${name} holds ${held} bytes of frames`);
    for (const { number, window } of ownership.partitions) {
      if (window.bytes > limits.windowBytesMax)
        this.#over(`${name} has ${window.bytes} bytes in the window of partition ${number}`);
    }
    const { records, recordsMax } = ownership.queue();
    if (records > recordsMax) this.#over(`${name} has ${records} records waiting`);
    const { memory, queued } = inside.work;
    if (memory.heldBytes > memory.bytesMax) this.#over(`${name} holds ${memory.heldBytes} bytes for catching up`);
    if (queued > limits.queuedTasksMax) this.#over(`${name} has ${queued} tasks waiting`);
    const { ids, ranges } = ownership;
    if (ids.ids > ids.limits.idsMax) this.#over(`${name} remembers ${ids.ids} message IDs`);
    const { blocks } = ranges;
    if (blocks.bytes > blocks.bytesMax) this.#over(`${name} keeps ${blocks.bytes} bytes of what it read back`);
    const { pendingBytes, pendingBytesMax } = bus.stats();
    if (pendingBytes > pendingBytesMax) this.#over(`${name} has ${pendingBytes} bytes on the way to the bus`);
    for (const connection of connections) {
      const bytes = connection.getBufferedAmount();
      // A frame is taken as long as no more than the bound waits.
      if (bytes > limits.socketBytesMax + connection.frameBytesMost)
        this.#over(`a socket of ${name} has ${bytes} bytes waiting`);
    }
  }

  #over(what: string): void {
    this.#world.violations.add('I7 bounds', `${what}, which is over its limit`);
  }
}
