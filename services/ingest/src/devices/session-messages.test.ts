import assert from 'node:assert/strict';
import { createHook } from 'node:async_hooks';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { decodeReport } from '@tailrace/protocol/report-proto';
import { fuzzed } from '@tailrace/testkit/fuzz';
import fc from 'fast-check';
import { nextTurn, press, startDevices, statusOf, type TestDevice } from '../../test/device-fixture.ts';

const eventOf = (msgid: string, rest: object = {}) => ({ type: 'event', msgid, payload: { name: 'alarm' }, ...rest });
const batchOf = (msgid: string, messages: readonly object[], rest: object = {}) => ({
  ...{ type: 'batch', msgid, payload: { messages } },
  ...rest,
});
const plain = { type: 'status', payload: { readings: [{ tag: 't', value: 1 }] } };

test('a message is acknowledged after the log has confirmed it, and not before', async (t) => {
  const { login, held, clock } = await startDevices(t);
  const device = await login();
  device.status('a1', { timestamp: 1_764_446_399_000.5 });
  await nextTurn();
  await clock.advance(4_000);
  assert.deepEqual(device.acks(), []);
  const report = decodeReport(held[0]!.value);
  assert.deepEqual([held[0]!.key, report.device, report.id, report.time], [press, press, 'a1', 1_764_446_399_000.5]);
  held[0]!.confirm();
  await nextTurn();
  assert.deepEqual(device.acks(), ['a1 accepted']);
});

test('a message that the log has not confirmed in 5 s is refused as retryable, and its resend is a duplicate once the log has confirmed late', async (t) => {
  const { login, held, clock, metric } = await startDevices(t);
  const device = await login();
  device.status('a1');
  await nextTurn();
  await clock.advance(5_100);
  const [ack] = device.take('ack');
  assert.deepEqual([ack?.msgid, ack?.payload.code, ack?.payload.retryable], ['a1', 'unavailable', true]);
  assert.ok(ack!.payload.retryAfterMs! > 0);
  held[0]!.confirm();
  await nextTurn();
  assert.deepEqual(device.acks(), [], 'no second answer');
  await clock.advance(3_000);
  device.status('a1');
  await nextTurn();
  assert.deepEqual(device.acks(), ['a1 duplicate']);
  assert.equal(held.length, 1, 'it is in the log once');
  assert.equal(await metric('tailrace_ingest_messages_total{outcome="unavailable"}'), 1);
  assert.equal(await metric('tailrace_ingest_messages_total{outcome="duplicate"}'), 1);
});

test('a resend of a message that waits for the log is answered when the log has confirmed it, and is in the log once', async (t) => {
  const { login, held, metric } = await startDevices(t);
  const device = await login();
  device.status('a1');
  await nextTurn();
  device.status('a1');
  await nextTurn();
  assert.equal(held.length, 1);
  held[0]!.confirm();
  await nextTurn();
  assert.deepEqual(device.acks(), ['a1 accepted']);
  assert.equal(await metric('tailrace_ingest_resent_messages_total'), 1);
});

test('a resend in a new session is answered there, also for a message that the former session has sent', async (t) => {
  const { login, held } = await startDevices(t);
  const first = await login();
  first.send(statusOf('a1'), statusOf('a2'), statusOf('a3'));
  await nextTurn();
  held.shift()!.confirm();
  await nextTurn();
  assert.deepEqual(first.acks(), ['a1 accepted']);
  const second = await login();
  second.send(statusOf('a1'), statusOf('a2'), statusOf('a4'));
  await nextTurn();
  assert.deepEqual(
    held.map(({ value }) => decodeReport(value).id),
    ['a2', 'a3', 'a4'],
  );
  for (const record of held.splice(0)) record.confirm();
  await nextTurn();
  // a3 was not sent in this session.
  assert.deepEqual(second.acks(), ['a1 duplicate', 'a2 accepted', 'a4 accepted']);
  assert.deepEqual(first.acks(), []);
});

test('a device that reconnects half an hour after its link was lost repeats nothing in the log', async (t) => {
  const { login, confirmAll, clock, held } = await startDevices(t);
  const first = await login();
  first.status('a1');
  await nextTurn();
  first.socket.abort();
  await confirmAll();
  await clock.advance(1_800_000);
  const second = await login({ challenge: undefined, time: clock.now(), nonce: 'b7f3b7f3' });
  second.status('a1');
  await nextTurn();
  assert.deepEqual(second.acks(), ['a1 duplicate']);
  assert.equal(held.length, 0);
});

test('a message that the log refuses is not a duplicate when it is sent again', async (t) => {
  const { login, held, clock } = await startDevices(t);
  const device = await login();
  device.send(statusOf('a1'), statusOf('a2'));
  await nextTurn();
  held[0]!.fail();
  held[1]!.fail(new TailraceError('too_large', 'record: too many bytes'));
  await nextTurn();
  const acks = device.take('ack').map(({ payload }) => [payload.code, payload.retryable]);
  assert.deepEqual(acks, [
    ['unavailable', true],
    ['too_large', false],
  ]);
  held.length = 0;
  // The pause after the refusal.
  await clock.advance(2_000);
  device.status('a1');
  await nextTurn();
  held[0]!.confirm();
  await nextTurn();
  assert.deepEqual(device.acks(), ['a1 accepted']);
});

test('an invalid message is rejected with its reason, and the connection stays', async (t) => {
  const { login, confirmAll, metric } = await startDevices(t);
  const device = await login();
  device.send(
    statusOf('a1', { payload: { readings: [] } }),
    statusOf('a2', { timestamp: 1_764_446_400 }),
    statusOf('a3'),
  );
  await confirmAll();
  assert.deepEqual(device.acks(), ['a1 invalid_report', 'a2 invalid_report', 'a3 accepted']);
  assert.equal(await metric('tailrace_ingest_rejected_messages_total{code="invalid_report"}'), 2);
});

test('reading is paused at a full window, resumes at three quarters, and the order is kept', async (t) => {
  const { login, held, metric } = await startDevices(t, { settings: { deviceWindowMax: 4 } });
  const device = await login();
  const paused = () => metric('tailrace_ingest_paused_sessions{cause="window"}');
  device.send(...Array.from({ length: 10 }, (_, index) => statusOf(`a${index}`)));
  await nextTurn();
  assert.equal(held.length, 4);
  assert.equal(await paused(), 1);
  // What is sent now stays in the socket.
  device.status('later');
  const ids: (string | undefined)[] = [];
  for (let count = 0; count < 7; count++) {
    const record = held.shift()!;
    ids.push(decodeReport(record.value).id);
    record.confirm();
    await nextTurn();
  }
  assert.deepEqual(ids, ['a0', 'a1', 'a2', 'a3', 'a4', 'a5', 'a6']);
  assert.equal(await paused(), 0, 'three of four wait');
  await nextTurn();
  assert.deepEqual(
    held.map(({ value }) => decodeReport(value).id),
    ['a7', 'a8', 'a9', 'later'],
  );
});

test('a full window has room for events', async (t) => {
  const { login, held } = await startDevices(t, { settings: { deviceWindowMax: 1 } });
  const device = await login();
  device.send(statusOf('a1'));
  await nextTurn();
  device.send(...Array.from({ length: 9 }, (_, index) => eventOf(`e${index}`)));
  await nextTurn();
  assert.equal(held.length, 9, 'one message and eight events');
});

test('a session waits for the bytes of others, and reads on when they are released', async (t) => {
  const settings = { inFlightBytesMax: 1_048_576, deviceWindowBytesMax: 4_194_304, deviceMessageBytesMax: 1_048_576 };
  const { login, held, tokenFor, clock, metric } = await startDevices(t, { settings });
  const [a, b] = [await login(), await login({ device: 'plant1.b', token: await tokenFor(['>'], { subject: 'b' }) })];
  // A quarter of all bytes each.
  const large = { payload: { readings: Array.from({ length: 70 }, () => ({ tag: 't', value: 'x'.repeat(3_600) })) } };
  a.send(statusOf('a1', large), statusOf('a2', large));
  b.send(statusOf('b1', large), statusOf('b2', large), eventOf('e1'));
  await nextTurn();
  assert.equal(held.length, 3);
  assert.equal(await metric('tailrace_ingest_paused_sessions{cause="bytes"}'), 1);
  held.shift()!.confirm();
  await clock.advance(100);
  await nextTurn();
  assert.equal(held.length, 4);
  assert.equal(await metric('tailrace_ingest_paused_sessions{cause="bytes"}'), 0);
});

test('a refused message costs no parsing of its report', async (t) => {
  const settings = { deviceMessagesPerSecond: 1, deviceMessagesBurst: 2 };
  const { login, confirmAll, metric } = await startDevices(t, { settings });
  const device = await login();
  const invalid = { payload: { readings: 'none' } };
  device.send(statusOf('a1'), statusOf('a2'), statusOf('a3', invalid));
  await confirmAll();
  const [refused, ...others] = device.take('ack');
  assert.deepEqual([refused?.msgid, refused?.payload.code], ['a3', 'rate_limited']);
  assert.match(refused!.payload.message!, /at most 1 messages a second of "plant1.line2.press7" \(burst 2\)/);
  assert.equal(refused!.payload.retryAfterMs, 1_000);
  assert.deepEqual(
    others.map(({ payload }) => payload.status),
    ['accepted', 'accepted'],
  );
  assert.equal(await metric('tailrace_ingest_rate_limited_messages_total{scope="device"}'), 1);
});

test('an event passes while status messages are rate limited', async (t) => {
  const { login, confirmAll } = await startDevices(t, { settings: { deviceMessagesBurst: 1 } });
  const device = await login();
  device.send(statusOf('a1'), statusOf('a2'), eventOf('e1'));
  await confirmAll();
  assert.deepEqual(device.acks(), ['a2 rate_limited', 'a1 accepted', 'e1 accepted']);
});

test('the rate of a tenant bounds its devices together', async (t) => {
  const settings = { tenantMessagesPerSecond: 1, tenantMessagesBurst: 2 };
  const { login, confirmAll, tokenFor } = await startDevices(t, { settings });
  const token = await tokenFor(['>']);
  const [a, b, c] = [
    await login({ token }),
    await login({ token, device: 'plant1.b' }),
    await login({ token, device: 'plant2.c' }),
  ];
  for (const [index, device] of [a!, a!, b!, c!].entries()) device.status(`m${index}`);
  await confirmAll();
  const acks = [a, b, c].flatMap((device) => device!.acks());
  assert.deepEqual(acks, ['m0 accepted', 'm1 accepted', 'm2 rate_limited', 'm3 accepted']);
});

test('a device that goes on although it is refused is disconnected with 4429', async (t) => {
  const settings = { deviceMessagesPerSecond: 1, deviceMessagesBurst: 1, deviceSocketBytesMax: 67_108_864 };
  const { login, clock } = await startDevices(t, { settings });
  const device = await login();
  for (let second = 0; second < 60 && device.close === undefined; second++) {
    device.send(...Array.from({ length: 50 }, (_, index) => statusOf(`${second}/${index}`)));
    await clock.advance(1_000);
  }
  assert.equal(device.close?.code, 4429);
});

test('a device that reads no answers is disconnected with 4002', async (t) => {
  const { login } = await startDevices(t, { settings: { deviceSocketBytesMax: 4_096, deviceMessagesBurst: 1 } });
  const device = await login();
  device.socket.stopReading();
  for (let count = 0; count < 100; count++) device.status(`a${count}`);
  await nextTurn();
  device.socket.startReading();
  assert.equal(await device.closed(), 4002);
});

test('a gateway sends for the devices of its token, each with its own rate', async (t) => {
  const settings = { deviceMessagesPerSecond: 1, deviceMessagesBurst: 1 };
  const { login, held, confirmAll, tokenFor } = await startDevices(t, { settings });
  const device = await login({ token: await tokenFor(['plant1.line2.>']) });
  device.send(
    statusOf('a1', { from: 'plant1.line2.b' }),
    statusOf('a2', { from: 'plant1.line2.c' }),
    statusOf('a3', { from: 'plant1.line3.d' }),
    statusOf('a4', { from: 'plant1.line2.b' }),
  );
  await nextTurn();
  assert.deepEqual(
    held.map(({ key }) => key),
    ['plant1.line2.b', 'plant1.line2.c'],
  );
  await confirmAll();
  assert.deepEqual(device.acks(), ['a3 forbidden', 'a4 rate_limited', 'a1 accepted', 'a2 accepted']);
});

test('a batch of a gateway counts against each of its devices, so that a gateway of many is not at the rate of one', async (t) => {
  const settings = { deviceMessagesPerSecond: 2, deviceMessagesBurst: 2 };
  const { login, confirmAll, clock, tokenFor } = await startDevices(t, { settings });
  const device = await login({ token: await tokenFor(['plant1.line2.>']) });
  const from = (count: number) => Array.from({ length: count }, (_, n) => ({ ...plain, from: `plant1.line2.m${n}` }));
  // 400 messages a second, of devices with one each.
  for (let second = 0; second < 4; second++) {
    device.send(batchOf(`b${second}a`, from(200)), batchOf(`b${second}b`, from(200)));
    assert.equal(await confirmAll(), 400);
    await clock.advance(1_000);
  }
  assert.equal(device.acks().filter((ack) => ack.endsWith(' accepted')).length, 8);
  const noisy = [...from(10), ...Array.from({ length: 3 }, () => ({ ...plain, from: 'plant1.line2.m3' }))];
  device.send(batchOf('n1', from(10)), batchOf('n2', noisy));
  await nextTurn();
  const [refused] = device.take('ack');
  assert.equal(refused?.payload.code, 'rate_limited');
  assert.match(refused!.payload.message!, /plant1\.line2\.m3/);
  // What was refused has cost nothing: the other devices have the rest of their rate.
  device.send(batchOf('n3', [from(1)[0]!]));
  await confirmAll();
  assert.deepEqual(device.acks(), ['n1 accepted', 'n3 accepted']);
});

test('devices of a batch that are not valid or not covered cost its sender', async (t) => {
  const settings = { deviceMessagesPerSecond: 2, deviceMessagesBurst: 2 };
  const { login, confirmAll, tokenFor } = await startDevices(t, { settings });
  const device = await login({ token: await tokenFor(['plant1.line2.>']) });
  device.send(
    batchOf('b1', [
      { ...plain, from: 'plant2.a' },
      { ...plain, from: 'no path' },
    ]),
  );
  device.send(batchOf('b2', [plain]));
  await confirmAll();
  assert.deepEqual(
    device.take('ack').map(({ msgid, payload }) => `${msgid} ${payload.code}`),
    ['b1 forbidden', 'b2 rate_limited'],
  );
});

test('a device that is not covered loses no rate by the messages of another sender', async (t) => {
  const settings = { deviceMessagesPerSecond: 1, deviceMessagesBurst: 1 };
  const { login, confirmAll, tokenFor } = await startDevices(t, { settings });
  const attacker = await login({ device: 'plant1.b', token: await tokenFor(['plant1.b'], { subject: 'attacker' }) });
  const honest = await login();
  attacker.send(statusOf('x1', { from: press }), statusOf('x2', { from: press }));
  await nextTurn();
  assert.deepEqual(attacker.acks(), ['x1 forbidden', 'x2 rate_limited']);
  honest.status('a1');
  await confirmAll();
  assert.deepEqual(honest.acks(), ['a1 accepted']);
});

test('a batch has one answer, with a reason for each message that was rejected', async (t) => {
  const { login, held, confirmAll } = await startDevices(t);
  const device = await login();
  device.send(
    batchOf('b1', [plain, { ...plain, msgid: 'x', payload: { readings: [] } }, { ...plain, from: 'plant2.a' }]),
  );
  await nextTurn();
  assert.deepEqual(
    held.map(({ value }) => decodeReport(value).id),
    ['b1/0'],
  );
  await confirmAll();
  const [ack] = device.take('ack');
  assert.equal(ack?.msgid, 'b1');
  const { status, accepted, rejected } = ack!.payload;
  assert.deepEqual([status, accepted], ['accepted', 1]);
  assert.deepEqual(
    rejected!.map(({ index, msgid, code }) => [index, msgid, code]),
    [
      [1, 'x', 'invalid_report'],
      [2, 'b1/2', 'forbidden'],
    ],
  );
});

test('a batch that the log has confirmed is a duplicate, and one that it has refused in part is sent again', async (t) => {
  const { login, held, clock, confirmAll } = await startDevices(t);
  const device = await login();
  const batch = batchOf('b1', [plain, plain]);
  device.send(batch);
  await nextTurn();
  held[0]!.confirm();
  held[1]!.fail();
  await nextTurn();
  const [ack] = device.take('ack');
  assert.deepEqual([ack?.payload.code, ack?.payload.retryable, ack?.payload.accepted], ['unavailable', true, 1]);
  held.length = 0;
  await clock.advance(2_000);
  device.send(batch);
  assert.equal(await confirmAll(), 2);
  device.send(batch);
  assert.equal(await confirmAll(), 0);
  assert.deepEqual(device.acks(), ['b1 accepted', 'b1 duplicate']);
});

test('a batch whose messages are all invalid is rejected, and takes no place of the window', async (t) => {
  const { login, metric } = await startDevices(t);
  const device = await login();
  device.send(batchOf('b1', [{ type: 'status' }, 7 as unknown as object]));
  await nextTurn();
  const [ack] = device.take('ack');
  assert.deepEqual(
    [ack?.payload.status, ack?.payload.code, ack?.payload.rejected?.length],
    ['rejected', 'invalid_report', 2],
  );
  assert.equal(await metric('tailrace_ingest_in_flight_bytes'), 0);
});

test('a batch that the log does not confirm is refused once at the deadline', async (t) => {
  const { login, held, clock } = await startDevices(t);
  const device = await login();
  device.send(batchOf('b1', [plain, plain, plain]));
  await nextTurn();
  await clock.advance(5_200);
  assert.deepEqual(device.acks(), ['b1 unavailable']);
  for (const record of held.splice(0)) record.confirm();
  await nextTurn();
  assert.deepEqual(device.acks(), []);
  await clock.advance(3_000);
  device.send(batchOf('b1', [plain, plain, plain]));
  await nextTurn();
  assert.deepEqual([device.acks(), held.length], [['b1 duplicate'], 0]);
});

test('a message of quality 0 gets no answer, and a dropped one is reported together with others', async (t) => {
  const { login, confirmAll, metric } = await startDevices(t, { settings: { deviceMessagesBurst: 1 } });
  const device = await login();
  const unanswered = { ...plain, qos: 0 };
  device.send(unanswered, unanswered, unanswered);
  assert.equal(await confirmAll(), 1);
  assert.deepEqual(device.take('ack'), []);
  const errors = device.take('error');
  assert.equal(errors.length, 1, 'at most one in ten seconds');
  assert.match(errors[0]!.payload.message!, /^1 messages of qos 0 were dropped; the last one: expected at most 100/);
  assert.equal(await metric('tailrace_ingest_messages_total{outcome="dropped"}'), 2);
});

test('the bytes of a message are held until the log has settled it', async (t) => {
  const { login, held, clock, metric } = await startDevices(t);
  const device = await login();
  device.status('a1');
  await nextTurn();
  const bytes = await metric('tailrace_ingest_in_flight_bytes');
  assert.ok(bytes > 0);
  await clock.advance(6_000);
  device.socket.abort();
  await nextTurn();
  assert.equal(await metric('tailrace_ingest_in_flight_bytes'), bytes, 'refused at the deadline, and not settled');
  held[0]!.fail();
  await nextTurn();
  assert.equal(await metric('tailrace_ingest_in_flight_bytes'), 0);
});

test('no message allocates a promise', async (t) => {
  const settings = { deviceWindowMax: 2_000, deviceMessagesBurst: 10_000, deviceWindowBytesMax: 67_108_864 };
  const { login, confirmAll } = await startDevices(t, { settings });
  const device = await login();
  const messages = Array.from({ length: 1_000 }, (_, index) => statusOf(`a${index}`));
  let promises = 0;
  const hook = createHook({
    init(_id, type) {
      if (type === 'PROMISE') promises++;
    },
  });
  hook.enable();
  device.send(...messages);
  const confirmed = await confirmAll();
  hook.disable();
  assert.equal(confirmed, 1_000);
  assert.equal(device.acks().length, 1_000);
  assert.ok(promises < 20, `${promises} promises`);
});

test('a paused session never stays paused without a cause, and each message has one answer in each order of events', async (t) => {
  const seeded = fuzzed(60);
  const step = fc.oneof(
    fc.record({ send: fc.integer({ min: 1, max: 12 }), isEvent: fc.boolean() }),
    fc.record({ settle: fc.nat({ max: 20 }), isConfirmed: fc.boolean() }),
    fc.record({ waitMs: fc.constantFrom(10, 500, 5_200) }),
  );
  const { login, held, clock, metric, tokenFor } = await startDevices(t, {
    settings: { deviceWindowMax: 4, deviceMessagesBurst: 100_000, deviceEventsBurst: 100_000 },
  });
  let sent = 0;
  const device = await login({ token: await tokenFor(['plant1.>'], { expiresInMs: 1_000_000_000 }) });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const ids: string[] = [];
      for (const each of steps) {
        if ('send' in each) {
          const messages = Array.from({ length: each.send }, () => {
            ids.push(`m${sent++}`);
            return each.isEvent ? eventOf(ids.at(-1)!) : statusOf(ids.at(-1)!);
          });
          device.send(...messages);
        } else if ('settle' in each) {
          const [record] = held.splice(each.settle, 1);
          if (each.isConfirmed) record?.confirm();
          else record?.fail();
        } else await clock.advance(each.waitMs);
        await nextTurn();
      }
      await settleAll(device);
      assert.deepEqual(
        device
          .acks()
          .map((ack) => ack.split(' ')[0])
          .sort(),
        ids.sort(),
      );
      for (const cause of ['auth', 'window', 'bytes', 'unavailable'])
        assert.equal(await metric(`tailrace_ingest_paused_sessions{cause="${cause}"}`), 0, cause);
      assert.equal(await metric('tailrace_ingest_in_flight_bytes'), 0);
    }),
    seeded,
  );

  /** The log confirms everything, and pauses pass. */
  async function settleAll(of: TestDevice): Promise<void> {
    for (let idle = 0; idle < 3; ) {
      await nextTurn();
      for (const record of held.splice(0)) record.confirm();
      await nextTurn();
      await clock.advance(2_500);
      idle = held.length === 0 ? idle + 1 : 0;
    }
    assert.equal(of.close, undefined);
  }
});
