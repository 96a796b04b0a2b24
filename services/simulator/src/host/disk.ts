import type { Reading } from '@tailrace/protocol/report';
import { countFrom, numberReading, rate } from './readings.ts';

/** A mounted file system whose space is reported. */
export interface Mount {
  readonly source: string;
  readonly path: string;
}

/** Most mounts and disks that are reported. */
const mountsMax = 32;
const disksMax = 32;

/** Mount points of the system, of containers and of packages, whose space is not reported. */
const systemPlaces =
  /^\/(?:dev|proc|sys|run|etc|snap|boot\/efi|var\/lib\/(?:docker|containers?|kubelet)|mnt\/wsl)(?:\/|$)/;

/** Parses `/proc/mounts` (fstab(5)): each file system on a block device once, and the root on any device. */
export function parseMounts(text: string): Mount[] {
  const mounts: Mount[] = [];
  const seen = new Set<string>();
  for (const line of text.split('\n')) {
    const [source, escaped, type] = line.split(' ');
    if (source === undefined || escaped === undefined || type === undefined) continue;
    const path = unescapeMount(escaped);
    const isRoot = path === '/';
    if (!isRoot && (!source.startsWith('/dev/') || type === 'squashfs' || systemPlaces.test(path))) continue;
    // A second mount of a device is a bind mount; the root may be listed twice (containers, initramfs).
    if (seen.has(source) || (isRoot && mounts.some((mount) => mount.path === '/'))) continue;
    seen.add(source);
    mounts.push({ source, path });
    if (mounts.length === mountsMax) break;
  }
  return mounts;
}

/** Spaces, tabs, newlines and backslashes are escaped as three octal digits. */
function unescapeMount(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** Returns the name of a mount point in a device path: `/` is `root`. */
export function mountName(path: string): string {
  return path === '/' ? 'root' : path;
}

/** Space on a file system, in blocks, as statfs(2) returns it. */
export interface Space {
  readonly blockBytes: number;
  readonly blocks: number;
  readonly free: number;
  /** Free for users other than root. */
  readonly available: number;
}

/** Returns no readings for a file system without blocks, as some virtual ones are. */
export function spaceReadings(space: Space): Reading[] {
  if (space.blocks <= 0) return [];
  const usedBlocks = space.blocks - space.free;
  return [
    // As df(1): the share of what users other than root can have.
    ...numberReading('used_share', (100 * usedBlocks) / (usedBlocks + space.available), '%', 1),
    ...numberReading('used', usedBlocks * space.blockBytes, 'By', 0),
    ...numberReading('free', space.available * space.blockBytes, 'By', 0),
  ];
}

/** Counters of one disk since boot. */
export interface DiskCounters {
  readonly readBytes: number;
  readonly writtenBytes: number;
  readonly busyMs: number;
}

/** The kernel's unit, for every size of sector. */
const sectorBytes = 512;

/**
 * Parses `/proc/diskstats` (Documentation/admin-guide/iostats.rst). Returns the counters by disk, without partitions,
 * loop and RAM disks, and disks that were never used.
 */
export function parseDiskstats(text: string): ReadonlyMap<string, DiskCounters> {
  const all = new Map<string, DiskCounters>();
  for (const line of text.split('\n')) {
    const columns = line.trim().split(/\s+/);
    const name = columns[2];
    const [readSectors, writtenSectors, busyMs] = [columns[5], columns[9], columns[12]].map(countFrom);
    if (name === undefined || readSectors === undefined || writtenSectors === undefined || busyMs === undefined)
      continue;
    if (/^(?:loop|ram|zram|fd|sr)\d/.test(name) || readSectors + writtenSectors === 0) continue;
    all.set(name, { readBytes: readSectors * sectorBytes, writtenBytes: writtenSectors * sectorBytes, busyMs });
  }
  const disks = [...all]
    .filter(([name]) => ![...all.keys()].some((disk) => isPartition(name, disk)))
    .slice(0, disksMax);
  return new Map(disks);
}

/** Whether `name` is a partition of `disk`: `sda1` of `sda`, `nvme0n1p2` of `nvme0n1`, but not `dm-10` of `dm-1`. */
function isPartition(name: string, disk: string): boolean {
  if (name === disk || !name.startsWith(disk)) return false;
  const rest = name.slice(disk.length);
  return /\d$/.test(disk) ? /^p\d+$/.test(rest) : /^\d+$/.test(rest);
}

export function diskReadings(now: DiskCounters, before: DiskCounters, spanS: number): Reading[] {
  const busy = rate(now.busyMs, before.busyMs, spanS);
  return [
    ...numberReading('read', rate(now.readBytes, before.readBytes, spanS), 'By/s', 0),
    ...numberReading('written', rate(now.writtenBytes, before.writtenBytes, spanS), 'By/s', 0),
    // Rounding of the clock may exceed 100 % slightly.
    ...numberReading('busy', busy === undefined ? undefined : Math.min(100, busy / 10), '%', 1),
  ];
}
