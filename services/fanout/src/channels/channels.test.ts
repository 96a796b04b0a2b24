import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partitionOf } from '@tailrace/protocol/partition';
import { Channels } from './channels.ts';
import { Device } from './device.ts';

const patterns = (channels: Channels, path: string) =>
  channels.of(new Device(path, 0)).map((channel) => channel.pattern);

test('a device has one partition, a subtree has all', () => {
  const channels = new Channels(8);
  assert.deepEqual(channels.open('p.d').partitions, [partitionOf('p.d', 8)]);
  assert.deepEqual(channels.open('p.>').partitions, [0, 1, 2, 3, 4, 5, 6, 7]);
});

test('a pattern has one channel, until it is closed', () => {
  const channels = new Channels(2);
  const first = channels.open('p.d');
  assert.equal(channels.open('p.d'), first);
  assert.equal(channels.find('p.d'), first);
  channels.close(first);
  channels.close(first);
  assert.equal(channels.find('p.d'), undefined);
  assert.equal(channels.size, 0);
  assert.notEqual(channels.open('p.d'), first);
});

test('closing a channel that was opened again meanwhile leaves the new one alone', () => {
  const channels = new Channels(2);
  const first = channels.open('p.d');
  channels.close(first);
  const second = channels.open('p.d');
  channels.close(first);
  assert.equal(channels.find('p.d'), second);
  assert.deepEqual(patterns(channels, 'p.d'), ['p.d']);
});

test('a device is covered by its own channel and by the channels of its subtrees', () => {
  const channels = new Channels(2);
  for (const pattern of ['p.a.d', 'p.>', 'p.a.>', '>', 'p.b.>', 'p.a']) channels.open(pattern);
  assert.deepEqual(patterns(channels, 'p.a.d').sort(), ['>', 'p.>', 'p.a.>', 'p.a.d']);
  assert.deepEqual(patterns(channels, 'p.a').sort(), ['>', 'p.>', 'p.a']);
});

test('the cached channels of a device are updated when a channel is opened or closed', () => {
  const channels = new Channels(2);
  const device = new Device('p.d', 0);
  assert.deepEqual(channels.of(device), []);
  const channel = channels.open('p.>');
  assert.deepEqual(channels.of(device), [channel]);
  const cached = channels.of(device);
  assert.equal(channels.of(device), cached, 'the match is cached');
  channels.close(channel);
  assert.deepEqual(channels.of(device), []);
});

test('the channels in a partition are the subtrees and the devices of that partition', () => {
  const channels = new Channels(4);
  const devices = Array.from({ length: 20 }, (_, i) => `p.d${i}`);
  for (const pattern of [...devices, '>']) channels.open(pattern);
  for (let partition = 0; partition < 4; partition++) {
    assert.deepEqual(
      [...channels.in(partition)].map((channel) => channel.pattern),
      ['>', ...devices.filter((device) => partitionOf(device, 4) === partition)],
    );
  }
});

test('channels of a partition are found without a visit to those of others', () => {
  const channels = new Channels(4);
  const subtree = channels.open('a.>');
  const devices = Array.from({ length: 40 }, (_, i) => channels.open(`a.d${i}`));
  for (const partition of [0, 1, 2, 3]) {
    const expected = new Set([subtree, ...devices.filter((channel) => channel.partitions[0] === partition)]);
    assert.deepEqual(new Set(channels.in(partition)), expected);
  }
  for (const channel of devices) channels.close(channel);
  assert.deepEqual([...channels.in(2)], [subtree]);
  channels.close(subtree);
  assert.deepEqual([...channels.in(2)], []);
});
