import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cpuReadings, parseProcStat } from './cpu.ts';
import { diskReadings, mountName, parseDiskstats, parseMounts, spaceReadings } from './disk.ts';
import { loadReadings, uptimeReadings } from './load.ts';
import { memoryReadings, parseMeminfo } from './memory.ts';
import { networkReadings, parseNetDev } from './network.ts';
import { segmentFrom, uniqueSegments } from './segment.ts';
import { sensorReadings } from './temperature.ts';

const valuesOf = (readings: readonly { tag: string; value: unknown }[]) =>
  Object.fromEntries(readings.map(({ tag, value }) => [tag, value]));

test('processors: shares of the time between two samples', () => {
  const before = parseProcStat('cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 100 0 50 800 50 0 0 0 0 0\nintr 5 0 0\n');
  const now = parseProcStat('cpu  130 10 70 880 50 0 0 10 0 0\ncpu0 130 10 70 880 50 0 0 10 0 0\ncpu1 5 0 0 5\n');
  assert.deepEqual(valuesOf(cpuReadings(now, before)), {
    total: 46.7,
    user: 26.7,
    system: 13.3,
    waiting: 0,
    core0: 46.7,
  });
});

test('processors: added and removed cores, a time that decreases, missing columns', () => {
  const before = parseProcStat('cpu  10 0 10 80 30\ncpu0 10 0 10 80 30\ncpu2 1 1 1 1');
  // iowait went back by 20.
  const now = parseProcStat('cpu  20 0 10 170 10\ncpu0 20 0 10 170 10\ncpu7 1 1 1 1');
  assert.deepEqual(valuesOf(cpuReadings(now, before)), { total: 10, user: 10, system: 0, waiting: 0, core0: 10 });
  assert.equal(cpuReadings(now, now).length, 0, 'no time passed');
  for (const text of ['', 'cpu', 'cpu a b c d', 'cpux 1 2 3 4', '\0']) assert.equal(parseProcStat(text).size, 0, text);
});

test('memory: used is what is not available', () => {
  const text =
    'MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    600 kB\nCached:          300 kB\nSwapTotal:       200 kB\nSwapFree:        150 kB\nHugePages_Total:       0\n';
  const readings = valuesOf(memoryReadings(parseMeminfo(text)!));
  assert.deepEqual(readings, { used_share: 40, used: 409_600, available: 614_400, cached: 307_200, swap_used: 51_200 });
});

test('memory: old kernels, no swap, invalid text', () => {
  const old = parseMeminfo('MemTotal: 1000 kB\nMemFree: 100 kB\nBuffers: 50 kB\nCached: 250 kB\n')!;
  assert.equal(old.availableBytes, 400 * 1024);
  assert.deepEqual(Object.keys(valuesOf(memoryReadings(old))), ['used_share', 'used', 'available', 'cached']);
  for (const text of ['', 'MemTotal: 5 kB', 'MemTotal: many kB\nMemFree: 1 kB', 'MemTotal: 0 kB\nMemFree: 0 kB'])
    assert.equal(parseMeminfo(text), undefined, text);
});

test('load and uptime', () => {
  assert.deepEqual(valuesOf(loadReadings('0.20 1.18 10.12 3/1080 11206\n')), {
    load1: 0.2,
    load5: 1.18,
    load15: 10.12,
    threads_running: 3,
    threads: 1080,
  });
  assert.deepEqual(valuesOf(uptimeReadings('1470.62 2762.11\n')), { uptime: 1471 });
  assert.deepEqual(loadReadings('unknown'), []);
  assert.deepEqual(uptimeReadings(''), []);
});

test('mounts: block devices once, the root on any device, none of containers and packages', () => {
  const text = [
    'proc /proc proc rw 0 0',
    'overlay / overlay rw 0 0',
    '/dev/sda1 /etc/hosts ext4 rw 0 0',
    '/dev/sdb1 /srv/two\\040words ext4 rw 0 0',
    '/dev/sdb1 /mnt/again ext4 rw 0 0',
    '/dev/loop3 /snap/core/1 squashfs ro 0 0',
    'tmpfs /tmp tmpfs rw 0 0',
    '/dev/mapper/vg-home /home xfs rw 0 0',
    '/dev/nvme0n1p1 /boot/efi vfat rw 0 0',
    'rootfs / rootfs rw 0 0',
    'half',
  ].join('\n');
  assert.deepEqual(
    parseMounts(text).map(({ path }) => path),
    ['/', '/srv/two words', '/home'],
  );
  assert.equal(mountName('/'), 'root');
});

test('space is computed as df does', () => {
  // 5 % are kept for root.
  assert.deepEqual(valuesOf(spaceReadings({ blockBytes: 4096, blocks: 1000, free: 500, available: 450 })), {
    used_share: 52.6,
    used: 2_048_000,
    free: 1_843_200,
  });
  assert.deepEqual(spaceReadings({ blockBytes: 4096, blocks: 0, free: 0, available: 0 }), []);
});

test('disks: whole disks that were used; throughput in bytes', () => {
  const line = (name: string, read: number, written: number, busy: number) =>
    ` 8 0 ${name} 10 0 ${read} 5 10 0 ${written} 5 0 ${busy} 9 0 0 0 0`;
  const text = (factor: number) =>
    [
      line('sda', 100 * factor, 200 * factor, 300 * factor),
      line('sda1', 90, 100, 1),
      line('nvme0n1', 5, 5, 5),
      line('nvme0n1p1', 5, 5, 5),
      line('dm-1', 7, 7, 7),
      line('dm-10', 7, 7, 7),
      line('loop0', 9, 9, 9),
      line('sdb', 0, 0, 0),
      'nonsense',
    ].join('\n');
  assert.deepEqual([...parseDiskstats(text(1)).keys()], ['sda', 'nvme0n1', 'dm-1', 'dm-10']);
  const [before, now] = [parseDiskstats(text(1)).get('sda')!, parseDiskstats(text(3)).get('sda')!];
  assert.deepEqual(valuesOf(diskReadings(now, before, 2)), { read: 51_200, written: 102_400, busy: 30 });
  assert.deepEqual(diskReadings(before, now, 2), [], 'counters that decreased have no rate');
  assert.deepEqual(diskReadings(now, before, 0), []);
});

test('networks: throughput, without loopback and interfaces that were never used', () => {
  const header =
    'Inter-|   Receive                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes packets errs drop fifo colls carrier compressed\n';
  const text = (bytes: number) =>
    `${header}    lo:    3193      29    0    0    0     0          0         0     3193      29    0    0    0     0       0          0\n` +
    `eth0:${bytes} 100 1 2 0 0 0 0 ${bytes * 2} 50 3 4 0 0 0 0\n  eth0.5@x: 5 1 0 0 0 0 0 0 5 1 0 0 0 0 0 0\n  ifb0: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n vethab12: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\nbroken: 1 2\n`;
  const before = parseNetDev(text(1000));
  assert.deepEqual([...before.keys()], ['eth0', 'eth0.5@x']);
  const readings = networkReadings(parseNetDev(text(5000)).get('eth0')!, before.get('eth0')!, 2);
  assert.deepEqual(valuesOf(readings), {
    received: 2000,
    sent: 4000,
    packets_received: 0,
    packets_sent: 0,
    packets_lost: 0,
  });
});

test('sensors: degrees from thousandths; an implausible value is bad, other text has no reading', () => {
  assert.deepEqual(sensorReadings('temperature', '45250\n'), [{ tag: 'temperature', value: 45.3, unit: 'Cel' }]);
  assert.deepEqual(sensorReadings('temperature', '-128000'), [
    { tag: 'temperature', value: -128, unit: 'Cel', quality: 'bad' },
  ]);
  assert.deepEqual(sensorReadings('fan', '1200\n'), [{ tag: 'speed', value: 1200, unit: '/min' }]);
  for (const text of ['', 'N/A', '12.5', '1e5', '9999999999999'])
    assert.deepEqual(sensorReadings('temperature', text), [], text);
});

test('any name becomes a path segment, and duplicates are made unique', () => {
  assert.equal(segmentFrom('web-1.example.org'), 'web-1-example-org');
  assert.equal(segmentFrom('/var/lib/data'), 'var-lib-data');
  assert.equal(segmentFrom('Größe 5'), 'Gr-e-5');
  assert.equal(segmentFrom('…'), 'unnamed');
  assert.equal(segmentFrom('x'.repeat(500)).length, 64);
  assert.deepEqual(uniqueSegments(['a b', 'a.b', 'a-b']), ['a-b', 'a-b-2', 'a-b-3']);
  const long = uniqueSegments(['x'.repeat(64), 'x'.repeat(70)]);
  assert.ok(new Set(long).size === 2 && long.every((segment) => segment.length <= 64));
});
