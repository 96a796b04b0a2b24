import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createNode, message, metricOf, nodeBirth, startMs } from '../test/fixture.ts';
import { type CommandValue, commandMessage, rebirthMessage } from './command.ts';
import { dataTypes } from './data-type.ts';
import { decodePayload } from './payload.ts';

const target = { group: 'Line 3', node: 'n1' };
const device = { ...target, device: 'd1' };

function bornNode() {
  const created = createNode();
  created.receive(
    nodeBirth({ metrics: [metricOf('Speed', -1, { dataType: dataTypes.int16, alias: 4 }), metricOf('Mode', 'auto')] }),
    message('DBIRTH', { device: 'd1', seq: 1, metrics: [metricOf('Level', 1, { dataType: dataTypes.float })] }),
  );
  return created.node;
}

const command = (to: typeof target & { device?: string }, ...values: CommandValue[]) =>
  commandMessage(to, bornNode().tableOf(to.device)!, values, startMs);

/** The fields that are present. */
const metricsOf = ({ payload }: { payload: Uint8Array }) => decodePayload(payload).metrics.map((each) => ({ ...each }));

test('[tck-id-topics-ncmd-topic] [tck-id-operational-behavior-data-commands-ncmd-verb] a command for a node is an NCMD, with the original IDs', () => {
  assert.equal(command(target, { name: 'Mode', value: 'manual' }).topic, 'spBv1.0/Line 3/NCMD/n1');
});

test('[tck-id-topics-dcmd-topic] [tck-id-operational-behavior-data-commands-dcmd-verb] a command for a device is a DCMD', () => {
  assert.equal(command(device, { name: 'Level', value: 2.5 }).topic, 'spBv1.0/Line 3/DCMD/n1/d1');
});

test('[tck-id-topics-ncmd-mqtt] [tck-id-payloads-ncmd-qos] [tck-id-payloads-ncmd-retain] [tck-id-topics-dcmd-mqtt] [tck-id-payloads-dcmd-qos] [tck-id-payloads-dcmd-retain] a command has QoS 0 and is not retained', () => {
  for (const { qos, retain } of [
    command(target, { name: 'Mode', value: 'manual' }),
    command(device, { name: 'Level', value: 2.5 }),
    rebirthMessage(target, startMs),
  ])
    assert.deepEqual([qos, retain], [0, false]);
});

test('[tck-id-payloads-ncmd-seq] [tck-id-payloads-dcmd-seq] a command has no seq', () => {
  for (const { payload } of [
    command(target, { name: 'Mode', value: 'manual' }),
    command(device, { name: 'Level', value: 2.5 }),
    rebirthMessage(target, startMs),
  ])
    assert.equal(decodePayload(payload).seq, null);
});

test('[tck-id-topics-ncmd-timestamp] [tck-id-payloads-ncmd-timestamp] [tck-id-topics-dcmd-timestamp] [tck-id-payloads-dcmd-timestamp] [tck-id-payloads-name-cmd-requirement] payload and metrics of a command have a timestamp, in ms', () => {
  for (const { payload } of [
    command(target, { name: 'Mode', value: 'manual' }),
    command(device, { name: 'Level', value: 2.5 }),
    rebirthMessage(target, startMs),
  ]) {
    const { timestamp, metrics } = decodePayload(payload);
    assert.deepEqual([timestamp, metrics[0]!.timestamp], [startMs, startMs]);
  }
});

test('[tck-id-topics-ncmd-payload] [tck-id-topics-dcmd-payload] a command has the metrics to write: by alias where the birth has one, with the data type that libraries need', () => {
  assert.deepEqual(metricsOf(command(target, { name: 'Speed', value: -2 }, { name: 'Mode', value: 'manual' })), [
    { alias: 4, timestamp: startMs, datatype: dataTypes.int16, intValue: 0xfffe },
    { name: 'Mode', timestamp: startMs, datatype: dataTypes.string, stringValue: 'manual' },
  ]);
  assert.deepEqual(metricsOf(command(device, { name: 'Level', value: 2.5 })), [
    { name: 'Level', timestamp: startMs, datatype: dataTypes.float, floatValue: 2.5 },
  ]);
  assert.throws(() => command(target), { code: 'invalid_message', message: /at least one metric/ });
});

test('[tck-id-operational-behavior-data-commands-ncmd-metric-name] [tck-id-operational-behavior-data-commands-dcmd-metric-name] a metric that the birth lacks is rejected, with the name in another case', () => {
  assert.throws(() => command(target, { name: 'speed', value: 1 }), {
    code: 'not_found',
    message: 'command: expected a metric of the birth, got "speed"; it has "Speed"',
  });
  assert.throws(() => command(device, { name: 'Speed', value: 1 }), { code: 'not_found' });
  assert.throws(() => command(target, { name: 'Speed', value: 40_000 }), { code: 'invalid_message' });
});

test('[tck-id-operational-behavior-data-commands-ncmd-rebirth-verb] [tck-id-operational-behavior-data-commands-ncmd-rebirth-name] [tck-id-operational-behavior-data-commands-ncmd-rebirth-value] [tck-id-operational-behavior-data-commands-rebirth-name-aliases] a request for a rebirth is an NCMD with the metric by name, Boolean, true', () => {
  const request = rebirthMessage(device, startMs);
  assert.equal(request.topic, 'spBv1.0/Line 3/NCMD/n1');
  const expected = [
    { name: 'Node Control/Rebirth', timestamp: startMs, datatype: dataTypes.boolean, booleanValue: true },
  ];
  assert.deepEqual(metricsOf(request), expected);
  // Also where the birth has an alias for it.
  const { node, receive } = createNode();
  receive(message('NBIRTH', { seq: 0, metrics: [metricOf('Node Control/Rebirth', false, { alias: 8 })] }));
  const named = commandMessage(
    target,
    node.tableOf(undefined)!,
    [{ name: 'Node Control/Rebirth', value: true }],
    startMs,
  );
  assert.deepEqual(metricsOf(named), expected);
});

test('an ID that no topic may have is rejected', () => {
  assert.throws(() => rebirthMessage({ group: 'a/b', node: 'n' }, startMs), { code: 'invalid_message' });
  assert.throws(() => rebirthMessage({ group: '#', node: 'n' }, startMs), { code: 'invalid_message' });
});
