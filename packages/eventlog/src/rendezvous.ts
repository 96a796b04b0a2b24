import { TailraceError } from '@tailrace/protocol/error';

/**
 * Rendezvous (highest random weight) hashing over stable names, with bounded load: which member gets which partition.
 *
 * Every pair of member and partition has a pseudo-random weight. A partition is assigned to the member with the highest
 * weight for it, so that an added or removed member moves only its own partitions. Alone, this leads to members with
 * far more partitions than others. Therefore no member has more than ceil(1.25 · P/N): partitions are placed one after
 * the other, each with the member of the highest weight that is below the limit.
 *
 * Partitions that move when one of N members is added or removed, measured over N = 2 … 16 with 50 sets of names each,
 * in units of P/N: 1.04 on average and at most 1.5 for P = 256; 1.24 and 2.5 for P = 64; 1.33 and 3.4 for P = 48. With
 * fewer than about three partitions per member the limit itself moves partitions (P = 12: 1.55, and 10 for N = 15,
 * which is 8 partitions): use P ≥ 3 · N.
 *
 * Thaler & Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM Transactions on Networking 6(1),
 * 1998. Mirrokni, Thorup & Zadimoghaddam, "Consistent hashing with bounded loads", arXiv:1608.01350, 2016.
 */
const loadFactor = 1.25;

/** Returns the most partitions of one of `memberCount` members. */
export function memberPartitionsMax(memberCount: number, partitions: number): number {
  return Math.ceil((loadFactor * partitions) / memberCount);
}

/**
 * Returns the partitions of each member, ascending; an empty list for a member without partitions. Depends on the set
 * of names alone: their order and duplicates do not matter. Returns an empty map for no members.
 */
export function assignPartitions(members: readonly string[], partitions: number): Map<string, number[]> {
  assertPartitions(partitions);
  const names = [...new Set(members)].sort();
  const assigned = new Map(names.map((name): [string, number[]] => [name, []]));
  if (names.length === 0) return assigned;
  const hashes = names.map(hashOfName);
  const max = memberPartitionsMax(names.length, partitions);
  for (const partition of placingOrder(partitions)) {
    let best: number[] | undefined;
    let bestWeight = -1;
    // Names are sorted and a later one must have a higher weight: with equal weights the first name wins, in every
    // process.
    for (let n = 0; n < names.length; n++) {
      const weight = weightOf(hashes[n]!, partition);
      if (weight <= bestWeight) continue;
      const own = assigned.get(names[n]!)!;
      if (own.length >= max) continue;
      best = own;
      bestWeight = weight;
    }
    best!.push(partition);
  }
  for (const own of assigned.values()) own.sort((a, b) => a - b);
  return assigned;
}

/**
 * Returns the order in which partitions are placed: by a hash, the same for every set of members. In the order of their
 * numbers, the last partitions would move at every change of the members.
 */
function placingOrder(partitions: number): number[] {
  return Array.from({ length: partitions }, (_, partition) => ({ partition, rank: mix(partition ^ 0x9e3779b9) }))
    .sort((a, b) => a.rank - b.rank || a.partition - b.partition)
    .map(({ partition }) => partition);
}

function weightOf(nameHash: number, partition: number): number {
  return mix(nameHash ^ mix(partition + 0x7f4a7c15));
}

/** Returns FNV-1a over UTF-16 code units, 32 bits, mixed: names that differ in one digit have different weights. */
function hashOfName(name: string): number {
  let hash = 0x811c9dc5;
  for (let n = 0; n < name.length; n++) hash = Math.imul(hash ^ name.charCodeAt(n), 0x01000193);
  return mix(hash);
}

/** The finalizer of MurmurHash3 (Appleby, public domain): every bit of the input changes about half of the output. */
function mix(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function assertPartitions(partitions: number): void {
  if (Number.isInteger(partitions) && partitions >= 0) return;
  throw new TailraceError('invalid_config', `partitions: expected an integer of 0 or more, got ${partitions}`);
}
