import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually } from '@tailrace/testkit/eventually';
import { freePorts } from '@tailrace/testkit/free-port';
import { pythonWith } from '@tailrace/testkit/python';
import { run } from '@tailrace/testkit/run';
import { ModbusLink } from '../src/links/modbus-link.ts';
import { createPlant } from '../src/plant/plant.ts';

/** The plant behind its Modbus server, without a clock: a test ticks. */
async function startPlant() {
  const plant = createPlant(4);
  const [port] = await freePorts(1);
  const link = new ModbusLink({ host: '127.0.0.1', port: port!, command: plant.command.bind(plant) });
  await link.start();
  let timeMs = Date.UTC(2024, 4, 6);
  /** Returns the values of the tick, by device and tag. */
  const tick = (isLinked: (device: string) => boolean = () => true) => {
    timeMs += 500;
    const reports = plant.tick(timeMs, 0.5);
    link.publish(reports, isLinked);
    return new Map(reports.map((each) => [each.device, new Map(each.readings.map(({ tag, value }) => [tag, value]))]));
  };
  return { link, port: port!, tick };
}

test('pymodbus reads the plant in all word orders, writes a set point and a coil, and the pump obeys', async () => {
  const { link, port, tick } = await startPlant();
  try {
    const values = tick();
    const python = await pythonWith(['pymodbus==3.16.1']);
    const script = join(import.meta.dirname, 'modbus_client.py');
    const { stdout } = await run(python, [script, String(port)], { deadlineMs: 60_000 });
    const found = JSON.parse(stdout) as Record<string, unknown>;
    const voltage = (meter: number) => Number(values.get(`plant1.utility.meter${meter}`)!.get('voltage'));
    for (const meter of [1, 2, 3]) {
      assert.ok(Math.abs(Number(found[`meter${meter}`]) - voltage(meter)) < 0.051, `${found[`meter${meter}`]}`);
    }
    const { written, setpoint, too_high, stopped, missing, function: unknown } = found;
    assert.deepEqual(
      { written, setpoint, too_high, stopped, missing, unknown },
      { written: true, setpoint: 3.5, too_high: 3, stopped: true, missing: 2, unknown: 1 },
    );
    tick();
    const pump = tick().get('plant1.utility.pump1')!;
    assert.equal(pump.get('pressure_setpoint'), 3.5);
    assert.equal(pump.get('enabled'), false);
  } finally {
    await link.stop();
  }
});

test('a unit that does not answer, and bytes that are no Modbus, disturb no other request', async () => {
  const { link, port, tick } = await startPlant();
  try {
    tick((device) => device !== 'plant1.utility.meter3');
    const received: Buffer[] = [];
    const socket = connect(port, '127.0.0.1');
    socket.on('data', (bytes) => received.push(bytes));
    // Unit 3 and an unknown unit, then unit 2, in two parts.
    const request = Buffer.from(
      '000100000006030300630001' + '000200000006090300000001' + '000300000006020300000001',
      'hex',
    );
    socket.write(request.subarray(0, 27));
    socket.write(request.subarray(27));
    await eventually(() => Buffer.concat(received).length >= 11, {
      deadlineMs: 20_000,
      describe: 'the reply of unit 2',
    });
    assert.match(Buffer.concat(received).toString('hex'), /^000300000005020302....$/);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.write(Buffer.from('GET / HTTP/1.1\r\n'));
    await closed;
    const next = connect(port, '127.0.0.1');
    next.write(request.subarray(24));
    await new Promise((resolve) => next.once('data', resolve));
    next.destroy();
  } finally {
    await link.stop();
  }
});
