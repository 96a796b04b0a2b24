import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createPgDatabase } from '@tailrace/database/pg';
import { silentLogger } from '@tailrace/platform/logger';
import { tailrace } from '@tailrace/protocol/generated';
import { eventually } from '@tailrace/testkit/eventually';
import { type PostgresServer, startPostgres } from '@tailrace/testkit/postgres';
import { type ControlFixture, createControlFixture, type RunningControl, tokenOf } from './control-fixture.ts';
import { FanoutNode } from './fanout-node.ts';
import { IngestNode } from './ingest-node.ts';

/* Scenes by alarm: on PostgreSQL in process, and two processes of control on a server. */

const { AlarmCause, AlarmState, Event } = tailrace.v1;

let server: PostgresServer;
const stops: (() => Promise<unknown>)[] = [];

before(async () => {
  server = await startPostgres();
});

after(async () => {
  for (const stop of stops.reverse()) await stop();
  await server?.stop();
});

/** An installation with processes of control. */
async function start(nodes: readonly string[], createDatabase?: Parameters<typeof createControlFixture>[0]) {
  const fixture: ControlFixture = await createControlFixture(createDatabase);
  const ingest = new IngestNode('ingest-0', await fixture.bus('ingest-0'));
  await ingest.start();
  const fanout = new FanoutNode('fanout-0', await fixture.bus('fanout-0'), 3);
  await fanout.start();
  stops.push(
    () => fixture.stop(),
    async () => fanout.stop(),
  );
  const controls: RunningControl[] = [];
  for (const node of nodes) controls.push(await fixture.start(node));
  fanout.announce();
  const engineer = await tokenOf('erik', { roles: ['engineer', 'auditor'] });
  const send = async (method: string, path: string, body?: unknown, token = engineer, node = 0) =>
    await controls[node]!.request(token, method, path, body);
  const ok = async (method: string, path: string, body?: unknown) => {
    const answer = await send(method, path, body);
    assert.ok(answer.status < 300, `${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const numbers = new Map<string, number>();
  return {
    ...{ fixture, ingest, controls, send, ok },
    /** Stores a scene of one command, and a trigger of the alarms of a device that runs it. */
    async trigger(id: string, device: string, lamp: string, fields: object = {}) {
      ingest.connect(lamp);
      await ok('PUT', `/v1/scenes/${id}`, { name: id, steps: [{ do: 'command', device: lamp, command: 'on' }] });
      await ok('PUT', `/v1/triggers/${id}`, { name: id, scene: id, devices: [device], ...fields });
    },
    /** Appends the records of a transition, as alarms does: `copies` times, as after a crash. */
    async raise(device: string, alarm: string, { ageMs = 0, copies = 1, cause = AlarmCause.ALARM_CAUSE_RAISED } = {}) {
      const number = (numbers.get(device) ?? 0) + 1;
      numbers.set(device, number);
      const time = Date.now() - ageMs;
      const state = AlarmState.ALARM_STATE_UNACKNOWLEDGED;
      const transition = { id: `${device}/${number}`, alarm, rule: 'hot', device, number, state, cause, time };
      const value = Event.encode({ alarmTransition: { ...transition, activated: time, priority: 2 } }).finish();
      await fixture.eventLog.append(
        'tailrace.events',
        Array.from({ length: copies }, () => ({ key: device, value })),
      );
    },
    async runs(scene: string) {
      return (await ok('GET', `/v1/scene-runs?scene=${scene}`)).runs;
    },
    async audit(target: string) {
      const { entries } = await ok('GET', `/v1/audit?target=${target}`);
      return entries.toReversed().map(({ action }: { action: string }) => action);
    },
  };
}

test('PostgreSQL in process: an alarm runs a scene', async (t) => {
  const { trigger, raise, runs, audit, ok, send, ingest, fixture } = await start(['c1']);
  const done = async (scene: string, count: number) =>
    await eventually(async () => {
      const all = await runs(scene);
      assert.equal(all.filter(({ state }: { state: string }) => state === 'done').length, count, JSON.stringify(all));
      return all;
    });
  const skippedOf = (id: string, expected: readonly object[]) =>
    eventually(async () => {
      const { skipped } = await ok('GET', `/v1/triggers/${id}`);
      const shown = skipped.map(({ reason, count }: { reason: string; count: number }) => ({ reason, count }));
      assert.deepEqual(shown, expected);
    });

  await t.test('once, with the rights of who has written the trigger, and with its alarm', async () => {
    await trigger('once', 'plant1.press1', 'plant1.lamp1');
    await raise('plant1.press1', 'a1', { copies: 2 });
    await raise('plant1.press1', 'a1', { cause: AlarmCause.ALARM_CAUSE_REALARMED });
    const [run] = await done('once', 1);
    const { cause, by, trigger: id, alarm } = run;
    assert.deepEqual([cause, by, id], ['alarm', 'erik', 'once']);
    assert.deepEqual(alarm, { id: 'a1', device: 'plant1.press1', rule: 'hot' });
    assert.equal(ingest.sent.filter(({ device }) => device === 'plant1.lamp1').length, 1);
    assert.deepEqual(await audit('scene/once'), ['scene.created', 'scene.run_started', 'scene.run_finished']);
  });

  await t.test('not when it is late, which the trigger and the audit name', async () => {
    await trigger('late', 'plant1.press2', 'plant1.lamp2', { catchUpMs: 60_000 });
    await raise('plant1.press2', 'a1', { ageMs: 61_000 });
    await raise('plant1.press2', 'a2', { ageMs: 120_000 });
    await skippedOf('late', [{ reason: 'late', count: 2 }]);
    assert.deepEqual(await runs('late'), []);
    assert.deepEqual(await audit('trigger/late'), ['trigger.created', 'trigger.skipped']);
  });

  await t.test('a scene that raises its own alarm runs once within the cooldown', async () => {
    await trigger('chain', 'plant1.press3', 'plant1.lamp3', { cooldownMs: 86_400_000 });
    let alarms = 0;
    const { onCommand } = ingest;
    ingest.onCommand = (command) => {
      if (command.device === 'plant1.lamp3') void raise('plant1.press3', `a${++alarms}`);
      return onCommand(command);
    };
    await raise('plant1.press3', 'a0');
    await done('chain', 1);
    await eventually(async () => {
      const { skipped } = await ok('GET', '/v1/triggers/chain');
      assert.deepEqual([skipped.length, skipped[0]?.count, alarms], [1, 1, 1]);
      assert.ok(['cooldown', 'active'].includes(skipped[0].reason));
    });
    ingest.onCommand = onCommand;
  });

  await t.test('not by alarms from before a change, of other rules, or while it is paused', async () => {
    const unknown = { name: 'other', scene: 'once', devices: ['plant1.press4'], rules: ['alarm-flood', 'cold'] };
    const { status, body } = await send('PUT', '/v1/triggers/other', unknown);
    assert.deepEqual([status, body.error.message], [400, 'rules.1: expected the ID of a rule, got "cold"']);
    const condition = { kind: 'state', tag: 'state', in: ['cold'] };
    await ok('PUT', '/v1/rules/cold?force=true', { devices: ['plant1.press4'], condition });
    await trigger('other', 'plant1.press4', 'plant1.lamp4', { rules: ['cold'] });
    await trigger('paused', 'plant1.press4', 'plant1.lamp4', { paused: true });
    await trigger('all', 'plant1.press4', 'plant1.lamp4');
    await raise('plant1.press4', 'a1');
    await done('all', 1);
    // The position of the log has moved on.
    await ok('PUT', '/v1/triggers/paused', { name: 'p', scene: 'paused', devices: ['plant1.press4'] });
    await trigger('witness', 'plant1.press5', 'plant1.lamp4');
    await raise('plant1.press5', 'a1');
    await done('witness', 1);
    assert.deepEqual([await runs('other'), await runs('paused')], [[], []]);
  });

  await t.test('a person who may not see the devices, or not run the scene, is refused', async () => {
    const body = { name: 'x', scene: 'once', devices: ['plant1.press1'] };
    const reader = await tokenOf('rita');
    assert.equal((await send('PUT', '/v1/triggers/x', body, reader)).status, 403);
    const other = await tokenOf('otto', { roles: ['engineer'], command: ['plant1.other'] });
    assert.equal((await send('PUT', '/v1/triggers/x', body, other)).status, 403, 'may not command the lamp');
    const elsewhere = { ...body, devices: ['plant2.>'] };
    assert.equal((await send('PUT', '/v1/triggers/x', elsewhere)).status, 403);
    assert.equal((await send('PUT', '/v1/triggers/x', { ...body, scene: 'none' })).status, 404);
    assert.equal((await send('PUT', '/v1/triggers/once', { ...body, version: 7 })).status, 409);
    assert.equal((await send('DELETE', '/v1/triggers/late')).status, 204);
    assert.equal((await send('GET', '/v1/triggers/late')).status, 404);
  });

  await t.test('the topic of the audit has all of it', async () => {
    await eventually(async () => {
      const entries = (await fixture.values('tailrace.audit')).map(
        ({ value }) => JSON.parse(Buffer.from(value).toString()).entry,
      );
      const started = entries.filter(({ action, details }) => action === 'scene.run_started' && details.trigger);
      assert.equal(started.length, 4);
    });
  });
});

test('two processes on a server: each alarm runs its scene once, also while one of them stops', async () => {
  const url = await server.createDatabase();
  const { trigger, raise, controls, fixture, ingest } = await start(['c1', 'c2'], async () =>
    createPgDatabase({ url, logger: silentLogger, connectionsMax: 20 }),
  );
  const devices = Array.from({ length: 24 }, (_, n) => `press${n}`);
  for (const device of devices)
    await trigger(device, `plant1.${device}`, `plant1.lamp.${device}`, { catchUpMs: 600_000, cooldownMs: 1_000 });
  // All of them in all partitions, and one trigger of all: of many alarms at once it takes one.
  await trigger('all', 'plant1.>', 'plant1.lamp.all', { catchUpMs: 600_000, cooldownMs: 86_400_000 });
  const raised = devices.map((device) => raise(`plant1.${device}`, `a-${device}`, { copies: 3 }));
  await Promise.all(raised.slice(0, 12));
  const stopped = controls[1]!.stop();
  await Promise.all([...raised, stopped]);
  const rowsOf = async () =>
    (
      await fixture.database.query<{ trigger: string; alarm: string; state: string }>(
        `SELECT trigger_id AS trigger, alarm ->> 'id' AS alarm, state FROM scene_runs ORDER BY trigger_id`,
      )
    ).rows;
  await eventually(
    async () => {
      const rows = await rowsOf();
      assert.equal(rows.filter(({ state }) => state === 'done').length, devices.length + 1, JSON.stringify(rows));
    },
    { deadlineMs: 30_000 },
  );
  const runs = (await rowsOf()).filter(({ trigger }) => trigger !== 'all');
  assert.deepEqual(runs.map(({ alarm }) => alarm).sort(), devices.map((device) => `a-${device}`).sort());
  const sent = ingest.sent.map(({ device }) => device);
  assert.deepEqual([sent.length, new Set(sent).size], [devices.length + 1, devices.length + 1]);
});
