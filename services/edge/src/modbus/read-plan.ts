/** A tag in the address space of one table. */
export interface ReadItem {
  /** Position of the tag in the list of its unit. */
  readonly index: number;
  /** Address of the protocol. */
  readonly start: number;
  /** Registers or bits. */
  readonly length: number;
}

/** One read request, for the items in it. */
export interface ReadBlock {
  readonly start: number;
  readonly length: number;
  /** By `start`. Each is whole in this block: a value of two registers is from one reply. */
  readonly items: readonly ReadItem[];
}

export interface ReadLimits {
  /** Most registers or bits of a request. */
  readonly lengthMax: number;
  /** Most registers or bits that no item needs between two items of a block. 0: only adjacent items share a block. */
  readonly gapMax: number;
  /** Ranges `[from, until)` that are never read, since reading them has effects or is refused. */
  readonly forbidden?: readonly (readonly [from: number, until: number])[];
}

/** Most registers of a read, and bits (Modbus Application Protocol V1.1b3, 6.1 to 6.4). */
export const readRegistersMax = 125;
export const readBitsMax = 2_000;
/**
 * Default of `gapMax`. With TCP framing a request costs far more than some registers. On a serial line a request costs
 * some 20 characters (8 and 5 of the frames, 2 pauses of 3.5), and a register 2.
 */
export const tcpGapMax = 16;
export const rtuGapMax = 10;
/** Bits that cost as much as a register. */
export const bitsPerRegister = 16;

/**
 * Groups items of one table and interval into the fewest requests of one pass: in the order of their addresses, an item
 * joins the open block if the block stays within `lengthMax`, the gap before the item within `gapMax`, and the gap has
 * no forbidden range. Expects items of at most `lengthMax`.
 */
export function readPlan(items: readonly ReadItem[], limits: ReadLimits): ReadBlock[] {
  const sorted = [...items].sort((a, b) => a.start - b.start || a.length - b.length);
  const blocks: ReadBlock[] = [];
  let open: ReadItem[] = [];
  let start = 0;
  let end = 0;
  const close = () => {
    if (open.length > 0) blocks.push({ start, length: end - start, items: open });
    open = [];
  };
  for (const item of sorted) {
    const itemEnd = item.start + item.length;
    const joins =
      open.length > 0 &&
      item.start - end <= limits.gapMax &&
      Math.max(end, itemEnd) - start <= limits.lengthMax &&
      !isForbidden(end, item.start, limits);
    if (!joins) {
      close();
      start = item.start;
      end = itemEnd;
    }
    open.push(item);
    end = Math.max(end, itemEnd);
  }
  close();
  return blocks;
}

function isForbidden(from: number, until: number, { forbidden = [] }: ReadLimits): boolean {
  return forbidden.some(([first, end]) => first < until && end > from);
}

/** Returns how many registers or bits of a block no item needs. */
export function gapLength({ items, length }: ReadBlock): number {
  let used = 0;
  let end = 0;
  for (const item of items) {
    const itemEnd = item.start + item.length;
    used += Math.max(0, itemEnd - Math.max(end, item.start));
    end = Math.max(end, itemEnd);
  }
  return length - used;
}

/**
 * Returns smaller blocks with the same items, for a block that the device has refused: first without its gaps, then its
 * halves, down to single addresses. Undefined for a block that is as small as can be: its items are refused.
 */
export function splitBlock(block: ReadBlock): ReadBlock[] | undefined {
  const { items } = block;
  if (gapLength(block) > 0) return readPlan(items, { lengthMax: block.length, gapMax: 0 });
  // Items of the same registers, such as the bits of one, stay together: alone they would be refused as well.
  const middle = boundaryNear(items, items.length >> 1);
  if (middle === undefined) return undefined;
  return [items.slice(0, middle), items.slice(middle)].flatMap((half) =>
    readPlan(half, { lengthMax: block.length, gapMax: 0 }),
  );
}

/** Returns the index next to `middle` at which an item has other registers than the one before. */
function boundaryNear(items: readonly ReadItem[], middle: number): number | undefined {
  const isBoundary = (index: number) => {
    const before = items[index - 1];
    const item = items[index];
    return before !== undefined && item !== undefined && (before.start !== item.start || before.length !== item.length);
  };
  for (let distance = 0; distance < items.length; distance++) {
    if (isBoundary(middle - distance)) return middle - distance;
    if (isBoundary(middle + distance)) return middle + distance;
  }
  return undefined;
}
