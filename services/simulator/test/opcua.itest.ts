import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually } from '@tailrace/testkit/eventually';
import { freePorts } from '@tailrace/testkit/free-port';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { OPCUACertificateManager } from 'node-opcua-certificate-manager';
import { AttributeIds, DataType, MessageSecurityMode, OPCUAClient, SecurityPolicy } from 'node-opcua-client';
import { OpcuaLink } from '../src/links/opcua-link.ts';
import { plantNamespace } from '../src/opcua/plant-nodes.ts';
import { createPlant } from '../src/plant/plant.ts';

failOnLeaks();

test('a foreign client reads the plant, writes a set point and a switch, and the machines obey', async () => {
  const dir = await createTempDir('plant-opcua');
  const [port] = await freePorts(1);
  const plant = createPlant(4);
  const command = plant.command.bind(plant);
  const failed: unknown[] = [];
  const onFailed = (error: unknown) => void failed.push(error);
  const link = new OpcuaLink({ host: '127.0.0.1', port: port!, pkiPath: dir.path, command, onFailed });
  const client = OPCUAClient.create({
    securityMode: MessageSecurityMode.None,
    securityPolicy: SecurityPolicy.None,
    connectionStrategy: { maxRetry: 0 },
    clientCertificateManager: new OPCUACertificateManager({ rootFolder: join(dir.path, 'client') }),
  });
  try {
    await link.start();
    let timeMs = Date.UTC(2024, 4, 6);
    const tick = (isLinked: (device: string) => boolean = () => true) => {
      timeMs += 1_000;
      link.publish(plant.tick(timeMs, 1), isLinked);
    };
    tick();
    await client.connect(`opc.tcp://127.0.0.1:${port}`);
    const session = await client.createSession();
    const index = (await session.readNamespaceArray()).indexOf(plantNamespace);
    const node = (name: string) => ({ nodeId: `ns=${index};s=${name}`, attributeId: AttributeIds.Value });
    const read = (name: string) => session.read(node(name));
    const write = async (name: string, dataType: DataType, value: number | boolean) => {
      const status = await session.write({ ...node(name), value: { value: { dataType, value } } });
      return status.name;
    };
    const isSetTo = (name: string, value: unknown) =>
      eventually(async () => assert.equal((await read(name)).value.value, value), { describe: `${name} is ${value}` });

    await eventually(async () => (await read('oven1.temperature')).value.value > 0, {
      describe: 'a value of the oven',
    });
    const { sourceTimestamp } = await read('oven1.temperature');
    assert.equal(sourceTimestamp?.getTime(), timeMs);
    assert.equal(await write('oven1.temperature_setpoint', DataType.Double, 120), 'Good');
    assert.equal((await read('oven1.temperature_setpoint')).value.value, 120, 'read back before the next tick');
    assert.equal(await write('compressor1.enabled', DataType.Boolean, false), 'Good');
    assert.equal(await write('oven1.temperature_setpoint', DataType.Double, 999), 'BadOutOfRange');
    assert.equal(await write('oven1.temperature_setpoint', DataType.Boolean, true), 'BadTypeMismatch');
    assert.equal(await write('oven1.temperature', DataType.Double, 20), 'BadNotWritable');
    for (let n = 0; n < 2; n++) tick((device) => device !== 'plant1.utility.compressor2');
    await isSetTo('oven1.temperature_setpoint', 120);
    await isSetTo('compressor1.enabled', false);
    await eventually(async () => (await read('compressor2.tank_pressure')).statusCode.name === 'BadNoCommunication', {
      describe: 'a machine without its link has bad values',
    });
    await session.close();
  } finally {
    await client.disconnect();
    await link.stop();
    await dir.remove();
  }
  assert.deepEqual(failed, []);
});

test('a port in use is an error that names the setting', async () => {
  const dir = await createTempDir('plant-opcua');
  const [port] = await freePorts(1);
  const options = { host: '127.0.0.1', port: port!, pkiPath: dir.path, command: () => {}, onFailed: () => {} };
  const [first, second] = [new OpcuaLink(options), new OpcuaLink(options)];
  try {
    await first.start();
    await assert.rejects(second.start(), /opcuaPort \d+: .*EADDRINUSE/);
  } finally {
    await Promise.all([first.stop(), second.stop()]);
    await dir.remove();
  }
});
