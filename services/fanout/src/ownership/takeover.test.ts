import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tailrace } from '@tailrace/protocol/generated';
import { deviceLimits } from '../../test/devicelimits.ts';
import { createLocalNode } from '../../test/localnode.ts';
import { arrival, record } from '../../test/records.ts';
import { KnownDevices } from '../channels/known-devices.ts';
import { packed } from '../channels/packed.ts';
import { repeatRecordsMax } from './recentids.ts';
import { RestoredDevice } from './restored-device.ts';
import { TakeOver } from './takeover.ts';

/** A node that takes its one partition over from another, whose channel `p.d` has everything before `had`. */
function takingOver(first: number, next: number, had: number) {
  const node = createLocalNode({ partitions: 1, owned: false });
  const channel = node.channels.open('p.d');
  node.views.enter(channel, 'json').sockets = 1;
  channel.slot(0).next = had;
  const known = new KnownDevices(deviceLimits);
  const reports = [{ seq: 4, report: arrival('p.d', 4).bytes }];
  const state = packed(tailrace.v1.DeviceState.encode({ reports }).finish());
  const restored = new RestoredDevice(0, next, known.admit('p.d')!, state);
  const checkpoints = {
    restore: async () => ({ from: next, devices: new Map([['p.d', restored]]) }),
    begin() {},
  };
  const log = { bounds: async () => [{ first, next }] };
  const { channels } = node;
  const takeOver = new TakeOver({ log, topic: 't', checkpoints, channels, known, recoveryRecordsMax: 1 });
  const shown = () =>
    node.published.flatMap(({ frame }) => {
      const { data } = JSON.parse(String(frame)) as { data: { reports: { seq: number }[]; skipped?: object[] } };
      return [...(data.skipped ?? []), ...data.reports.map(({ seq }) => seq)];
    });
  return {
    node,
    shown,
    async begin() {
      const prepared = await takeOver.prepare([0]);
      return takeOver.begin(node.partitions[0]!, { stop() {} }, 1, prepared);
    },
  };
}

test('a new owner reads so far back that it knows a report repeated across the position its channels have', async () => {
  const { node, shown, begin } = takingOver(0, 2_002, 2_000);
  const from = await begin();
  assert.equal(from, 2_000 - repeatRecordsMax);
  const records = Array.from({ length: 2_002 - from }, (_, i) =>
    record('p.d', from + i, from + i, from + i === 1_999 || from + i === 2_001 ? 'same' : undefined),
  );
  node.partitions[0]!.accept(records);
  node.views.flush();
  assert.deepEqual(shown(), [2_000]);
});

test('channels are told what the log no longer has, then what the state topic has of it', async () => {
  const { node, shown, begin } = takingOver(6, 8, 2);
  assert.equal(await begin(), 6);
  node.partitions[0]!.accept([record('p.d', 6), record('p.d', 7)]);
  node.views.flush();
  assert.deepEqual(shown(), [
    { partition: 0, device: '', from: 2, to: 5, count: 0, reason: 'retention' },
    ...[4, 6, 7],
  ]);
});
