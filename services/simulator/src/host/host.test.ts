import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reportFromJson } from '@tailrace/protocol/report';
import type { HostFiles } from './files.ts';
import { createHost } from './host.ts';
import { portable } from './portable.ts';

/** A small Linux machine with counters of `count`. */
function linux(count: () => number): HostFiles {
  const texts = (): Record<string, string> => ({
    '/proc/stat': `cpu  ${count()} 0 0 ${1000 - count()}\ncpu0 ${count()} 0 0 ${1000 - count()}`,
    '/proc/meminfo': 'MemTotal: 1000 kB\nMemFree: 500 kB\n',
    '/proc/loadavg': '0.50 0.40 0.30 1/80 11206\n',
    '/proc/uptime': '100.00 200.00\n',
    '/proc/diskstats': ` 8 0 vda 1 0 ${count()} 1 1 0 ${count()} 1 0 ${count()} 1`,
    '/proc/net/dev': `eth0: ${count()} 1 0 0 0 0 0 0 ${count()} 1 0 0 0 0 0 0`,
    '/proc/mounts': '/dev/vda1 / ext4 rw 0 0\n/dev/vdb /vda ext4 rw 0 0\n',
    '/sys/class/hwmon/hwmon0/name': 'coretemp\n',
    '/sys/class/hwmon/hwmon0/temp1_input': '41000\n',
    '/sys/class/hwmon/hwmon0/temp1_label': 'Package id 0\n',
    '/sys/class/hwmon/hwmon0/fan1_input': '900\n',
    '/sys/class/thermal/thermal_zone0/type': 'acpitz\n',
    '/sys/class/thermal/thermal_zone0/temp': '38000\n',
  });
  const folders: Record<string, string[]> = {
    '/sys/class/hwmon': ['hwmon0'],
    '/sys/class/hwmon/hwmon0': ['fan1_input', 'name', 'temp1_input', 'temp1_label'],
    '/sys/class/thermal': ['cooling_device0', 'thermal_zone0'],
  };
  return {
    read: async (path) => texts()[path],
    list: async (path) => folders[path] ?? [],
    space: async () => ({ blockBytes: 4096, blocks: 100, free: 50, available: 50 }),
  };
}

const nothing: HostFiles = { read: async () => undefined, list: async () => [], space: async () => undefined };

test('a Linux host has a device for each of its parts, and every report is valid', async () => {
  let count = 100;
  const host = createHost({ name: 'Web 1.example', files: linux(() => count) });
  assert.equal(await host.source(), 'proc');
  const first = await host.sample(1_700_000_000_000);
  assert.ok(!first.some(({ device }) => device.endsWith('.cpu')), 'shares need two samples');
  count = 300;
  const second = await host.sample(1_700_000_001_000);
  for (const report of [...first, ...second]) reportFromJson(structuredClone(report));
  const root = 'host.Web-1-example';
  assert.deepEqual(second.map(({ device }) => device).sort(), [
    `${root}.cpu`,
    `${root}.disk.vda`,
    `${root}.fan.coretemp-fan1`,
    `${root}.load`,
    `${root}.memory`,
    `${root}.network.eth0`,
    `${root}.temperature.acpitz`,
    `${root}.temperature.coretemp-Package-id-0`,
  ]);
  assert.deepEqual(second[0]?.readings[0], { tag: 'total', value: 100, unit: '%' });
});

test('space is reported with the first sample and every ten seconds; a mount named like a disk has its own device', async () => {
  const host = createHost({ name: 'a', files: linux(() => 5) });
  const disksAt = async (timeMs: number) =>
    (await host.sample(timeMs)).map(({ device }) => device).filter((device) => device.includes('.disk.'));
  assert.deepEqual(await disksAt(0), ['host.a.disk.root', 'host.a.disk.vda-2']);
  assert.deepEqual(await disksAt(9000), ['host.a.disk.vda']);
  assert.deepEqual(await disksAt(10_000), ['host.a.disk.vda', 'host.a.disk.root', 'host.a.disk.vda-2']);
});

test('without /proc a host reports what Node provides', async () => {
  const times = { user: 10, system: 10, waiting: 0, stolen: 0, idle: 80 };
  let factor = 1;
  const scaled = () =>
    Object.fromEntries(Object.entries(times).map(([kind, ticks]) => [kind, ticks * factor])) as typeof times;
  const host = createHost({
    name: 'mac',
    files: nothing,
    portable: { ...portable, cpu: () => new Map([['total', scaled()]]) },
  });
  assert.equal(await host.source(), 'portable');
  const first = await host.sample(0);
  assert.deepEqual(
    first.map(({ device }) => device),
    ['host.mac.memory', 'host.mac.load'],
  );
  factor = 2;
  const second = await host.sample(1000);
  assert.deepEqual(second[0]?.readings[0], { tag: 'total', value: 20, unit: '%' });
});

test('the host of the test can be read', async () => {
  const host = createHost({ name: 'here' });
  const reports = await host.sample(1_700_000_000_000);
  assert.ok(reports.some(({ device }) => device === 'host.here.memory'));
  for (const report of reports) reportFromJson(structuredClone(report));
});
