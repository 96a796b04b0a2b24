import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { tailrace } from '@tailrace/protocol/generated';
import { eventually } from '@tailrace/testkit/eventually';
import {
  type ControlFixture,
  commandBody,
  createControlFixture,
  type RunningControl,
  tokenOf,
} from './control-fixture.ts';
import { IngestNode } from './ingest-node.ts';

const { ControlReply, ControlRequest, LeaseAction } = tailrace.v1;

let fixture: ControlFixture;
let control: RunningControl;
let node: IngestNode;
let anna: string;
let bob: string;

before(async () => {
  fixture = await createControlFixture();
  node = new IngestNode('ingest-0', await fixture.bus('ingest-0'));
  await node.start();
  control = await fixture.start('c1');
  anna = await tokenOf('anna');
  bob = await tokenOf('bob', { roles: ['supervisor'] });
});

after(() => fixture.stop());

async function lease(token: string, body: Readonly<Record<string, unknown>>) {
  return await control.request(token, 'POST', '/v1/leases', body);
}

async function command(token: string, device: string, fields: Readonly<Record<string, unknown>> = {}) {
  return await control.request(token, 'POST', '/v1/commands', commandBody({ device, ...fields }));
}

test('only the holder of a lease commands its devices, with its fencing token', async () => {
  const scope = 'plant1.line1.>';
  const device = 'plant1.line1.press1';
  node.connect(device);
  const { status, body } = await lease(anna, { scope });
  assert.deepEqual([status, body.holder], [200, 'anna']);
  assert.equal((await lease(bob, { scope: device })).status, 409);
  assert.equal((await command(bob, device)).status, 409);
  assert.equal((await command(anna, device, { lease: body.token + 1 })).status, 409);
  assert.equal((await command(anna, device)).status, 202);
  await eventually(() =>
    assert.deepEqual(
      node.sent.map(({ fence }) => fence),
      [body.token],
    ),
  );
  const renewed = await lease(anna, { scope, action: 'renew', token: body.token, forMs: 120_000 });
  assert.ok(renewed.body.until > body.until);
  assert.equal((await lease(anna, { scope, action: 'release', token: body.token })).body.holder, '');
  assert.equal((await command(bob, device)).status, 202);
});

test('a lease is taken over by a supervisor, and queued commands of the former holder are refused', async () => {
  const scope = 'plant1.line2.>';
  const device = 'plant1.line2.press1';
  const first = await lease(anna, { scope });
  const queued = (await command(anna, device)).body;
  const other = await tokenOf('carl');
  assert.equal((await lease(other, { scope, action: 'take_over' })).status, 403);
  const taken = await lease(bob, { scope, action: 'take_over' });
  assert.deepEqual([taken.body.holder, taken.body.previous], ['bob', 'anna']);
  assert.ok(taken.body.token > first.body.token);
  assert.equal((await lease(anna, { scope, action: 'renew', token: first.body.token })).status, 409);
  node.connect(device);
  await eventually(async () => {
    const { body } = await control.request(anna, 'GET', `/v1/commands/${queued.id}`);
    assert.deepEqual([body.state, body.code], ['failed', 'conflict']);
  });
  assert.ok(!node.sent.some((sent) => sent.device === device));
});

test('a lease that is granted while the node of the device is being found stops the command of another', async (t) => {
  const device = 'plant1.line6.press1';
  node.connect(device);
  t.after(() => {
    node.beforeFind = () => {};
  });
  node.beforeFind = async (wanted) => {
    if (wanted === device) assert.equal((await lease(bob, { scope: device })).status, 200);
  };
  const { body } = await command(anna, device);
  await eventually(async () => {
    const { state, code } = (await control.request(anna, 'GET', `/v1/commands/${body.id}`)).body;
    assert.deepEqual([state, code], ['failed', 'conflict']);
  });
  assert.ok(node.sent.every((sent) => sent.device !== device));
});

test('a request that is delayed until its device has another session is checked against the leases again', async (t) => {
  const device = 'plant1.line7.press1';
  node.connect(device, 7);
  t.after(() => {
    node.beforeRequest = () => {};
  });
  /** Between the note of control and the request the device has been on another node, and may have executed others. */
  let whileDelayed = async () => {};
  node.beforeRequest = async (request) => {
    if (!('command' in request) || request.command.device !== device) return;
    const first = whileDelayed;
    whileDelayed = async () => {};
    await first();
  };
  const outcomeOf = async (token: string) => {
    const { id } = (await command(token, device)).body;
    return await eventually(async () => {
      const { body } = await control.request(token, 'GET', `/v1/commands/${id}`);
      assert.equal(body.final, true, JSON.stringify(body));
      return [body.state, body.code];
    });
  };
  const { token } = (await lease(anna, { scope: device })).body;
  whileDelayed = async () => node.connect(device, 8);
  assert.deepEqual(await outcomeOf(anna), ['done', undefined]);
  const sent = () => node.sent.filter((each) => each.device === device);
  assert.deepEqual(
    sent().map(({ fence, foundSession }) => [fence, foundSession]),
    [[token, 8]],
  );
  whileDelayed = async () => {
    assert.equal((await lease(bob, { scope: device, action: 'take_over' })).status, 200);
    node.connect(device, 9);
  };
  assert.deepEqual(await outcomeOf(anna), ['failed', 'conflict']);
  assert.equal(sent().length, 1);
});

test('watchers get each transition of a lease, also its expiry', async () => {
  const scope = 'plant1.line3.>';
  await lease(anna, { scope, forMs: 1_000 });
  const transitions = await eventually(async () => {
    const events = await fixture.events();
    const own = events.filter(({ key }) => key === 'plant1.line3').map(({ event }) => event.leaseTransition!);
    assert.equal(own.length, 2);
    return own;
  });
  assert.deepEqual(
    transitions.map(({ action, holder, previous }) => [action, holder, previous]),
    [
      [LeaseAction.LEASE_ACTION_ACQUIRE, 'anna', ''],
      [LeaseAction.LEASE_ACTION_UNSPECIFIED, '', 'anna'],
    ],
  );
  assert.equal((await lease(bob, { scope })).status, 200);
});

test('of many persons that want a scope at once, one gets it', async () => {
  const names = Array.from({ length: 8 }, (_, index) => `p${index}`);
  const tokens = await Promise.all(names.map((name) => tokenOf(name)));
  const scopes = ['plant1.line4.>', 'plant1.line4.press1', 'plant1.>'];
  const answers = await Promise.all(tokens.map((token, index) => lease(token, { scope: scopes[index % 3]! })));
  // plant1.> overlaps with the leases of the other tests, and the other two with each other: or not at all.
  const held = answers.filter(({ status }) => status === 200).map(({ body }) => body.scope);
  assert.equal(held.length, 1, held.join(', '));
});

test('the bus has the same functions as HTTP, for fanout', async () => {
  const bus = await fixture.bus('fanout-0');
  const device = 'plant1.line5.press1';
  node.connect(device);
  const requester = { subject: 'dora', address: '10.0.0.9', command: ['plant1.line5.>'], subscribe: [] };
  const request = async (fields: tailrace.v1.IControlRequest) => {
    const payload = ControlRequest.encode({ requester, ...fields }).finish();
    const [reply] = await bus.request('tailrace.v1.control', payload, { deadlineMs: 5_000 });
    return ControlReply.decode(reply!);
  };
  const params = { speed: { number: 3 } };
  const { command: accepted } = await request({ command: { id: 'k1', device, name: 'set', params, qos: 1 } });
  assert.deepEqual([accepted?.key, accepted?.by, accepted?.number], ['k1', 'dora', 1]);
  const { lease: acquired } = await request({
    lease: { scope: device, action: LeaseAction.LEASE_ACTION_ACQUIRE, forMs: 60_000 },
  });
  assert.equal(acquired?.holder, 'dora');
  const { error } = await request({ command: { id: 'k2', device: 'plant1.line6.press1', name: 'set' } });
  assert.equal(error?.code, 'forbidden');
  const { error: unknown } = await request({});
  assert.equal(unknown?.code, 'invalid_message');
  const list = await control.request(anna, 'GET', '/v1/leases');
  assert.ok(
    list.body.leases.some(
      ({ scope, holder }: { scope: string; holder: string }) => scope === device && holder === 'dora',
    ),
  );
});
