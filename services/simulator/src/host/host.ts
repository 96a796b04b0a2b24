import type { Reading, Report } from '@tailrace/protocol/report';
import { type CpuTimes, cpuReadings, parseProcStat } from './cpu.ts';
import { type DiskCounters, diskReadings, mountName, parseDiskstats, parseMounts, spaceReadings } from './disk.ts';
import { type HostFiles, systemFiles } from './files.ts';
import { loadReadings, uptimeReadings } from './load.ts';
import { memoryReadings, parseMeminfo } from './memory.ts';
import { type NetworkCounters, networkReadings, parseNetDev } from './network.ts';
import { type Portable, portable } from './portable.ts';
import { segmentFrom, uniqueSegments } from './segment.ts';
import { findSensors, type HostSensor, sensorReadings } from './temperature.ts';

/** This host as a set of devices under `host.<name>`. */
export interface Host {
  /** `proc`: everything. `portable`: there is no `/proc`, only what Node provides on every system. */
  source(): Promise<'proc' | 'portable'>;
  /**
   * Returns the current readings, one report for each device: `host.<name>.cpu`, `.memory`, `.load`, `.disk.<mount or
   * disk>`, `.network.<interface>`, `.temperature.<sensor>`, `.fan.<sensor>`. Rates and shares cover the time since the
   * previous call; the first call returns none.
   */
  sample(timeMs: number): Promise<Report[]>;
}

export interface HostOptions {
  /** The name of the host; converted to a path segment. */
  readonly name: string;
  readonly files?: HostFiles;
  readonly portable?: Portable;
}

/** Space changes slowly, and a network mount may answer slowly. */
const spaceEveryMs = 10_000;

/** Counters at one time. */
interface CounterSample {
  readonly timeMs: number;
  readonly cpu: CpuTimes;
  readonly disks: ReadonlyMap<string, DiskCounters>;
  readonly networks: ReadonlyMap<string, NetworkCounters>;
}

export function createHost(options: HostOptions): Host {
  const files = options.files ?? systemFiles;
  const node = options.portable ?? portable;
  const root = `host.${segmentFrom(options.name)}`;
  let before: CounterSample | undefined;
  let sensors: Promise<HostSensor[]> | undefined;
  let spaceMs = Number.NEGATIVE_INFINITY;

  async function readCounters(timeMs: number): Promise<CounterSample> {
    const [stat, disks, networks] = await Promise.all(
      ['/proc/stat', '/proc/diskstats', '/proc/net/dev'].map((path) => files.read(path)),
    );
    return {
      timeMs,
      cpu: stat === undefined ? node.cpu() : parseProcStat(stat),
      disks: parseDiskstats(disks ?? ''),
      networks: parseNetDev(networks ?? ''),
    };
  }

  async function memory(): Promise<Reading[]> {
    const text = await files.read('/proc/meminfo');
    const found = text === undefined ? node.memory() : parseMeminfo(text);
    return found === undefined ? [] : memoryReadings(found);
  }

  async function load(): Promise<Reading[]> {
    const [average, uptime] = await Promise.all([files.read('/proc/loadavg'), files.read('/proc/uptime')]);
    return average === undefined ? node.load() : [...loadReadings(average), ...uptimeReadings(uptime ?? '')];
  }

  /** Returns the space by name of the mount point: `root`, `home` … */
  async function spaces(): Promise<[string, Reading[]][]> {
    const mounts = parseMounts((await files.read('/proc/mounts')) ?? '/ / unknown');
    return Promise.all(
      mounts.map(async (mount): Promise<[string, Reading[]]> => {
        const space = await files.space(mount.path);
        return [mountName(mount.path), space === undefined ? [] : spaceReadings(space)];
      }),
    );
  }

  /** Returns one report for each device with readings. */
  function reports(timeMs: number, kind: string, named: readonly (readonly [string, Reading[]])[]): Report[] {
    const segments = uniqueSegments(named.map(([name]) => name));
    return named.flatMap(([, readings], index) =>
      readings.length === 0 ? [] : [{ device: `${root}.${kind}.${segments[index]}`, time: timeMs, readings }],
    );
  }

  return {
    source: async () => ((await files.read('/proc/stat')) === undefined ? 'portable' : 'proc'),

    async sample(timeMs) {
      sensors ??= findSensors(files);
      const found = await sensors;
      const [now, memoryNow, loadNow, texts] = await Promise.all([
        readCounters(timeMs),
        memory(),
        load(),
        Promise.all(found.map((sensor) => files.read(sensor.path))),
      ]);
      const earlier = before;
      before = now;
      const spanS = earlier === undefined ? 0 : (timeMs - earlier.timeMs) / 1000;
      const changes = <Counters>(
        of: (sample: CounterSample) => ReadonlyMap<string, Counters>,
        readings: (now: Counters, before: Counters, spanS: number) => Reading[],
      ): [string, Reading[]][] =>
        [...of(now)].map(([name, counters]) => {
          const previous = earlier && of(earlier).get(name);
          return [name, previous === undefined ? [] : readings(counters, previous, spanS)];
        });
      const sensed = (kind: HostSensor['kind']): [string, Reading[]][] =>
        found.flatMap((sensor, index) =>
          sensor.kind === kind ? [[sensor.name, sensorReadings(kind, texts[index] ?? '')]] : [],
        );
      // A disk and a mount point may have the same name: their segments are made unique together.
      const disks = changes((sample) => sample.disks, diskReadings);
      if (timeMs - spaceMs >= spaceEveryMs) {
        spaceMs = timeMs;
        disks.push(...(await spaces()));
      }
      const single: [string, Reading[]][] = [
        ['cpu', earlier === undefined ? [] : cpuReadings(now.cpu, earlier.cpu)],
        ['memory', memoryNow],
        ['load', loadNow],
      ];
      return [
        ...single.flatMap(([name, readings]) =>
          readings.length === 0 ? [] : [{ device: `${root}.${name}`, time: timeMs, readings }],
        ),
        ...reports(timeMs, 'disk', disks),
        ...reports(
          timeMs,
          'network',
          changes((sample) => sample.networks, networkReadings),
        ),
        ...reports(timeMs, 'temperature', sensed('temperature')),
        ...reports(timeMs, 'fan', sensed('fan')),
      ];
    },
  };
}
