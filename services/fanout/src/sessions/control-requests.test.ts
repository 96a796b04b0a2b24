import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Claims } from '@tailrace/platform/token';
import { noTracing, type Tracing } from '@tailrace/platform/tracing';
import type { ControlMessage } from '@tailrace/protocol/client-message';
import { commandTransitionProto, leaseTransitionProto } from '@tailrace/protocol/control-event';
import { TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import type { ServerMessage } from '@tailrace/protocol/server-message';
import { bytesOf, commandEvent } from '../../test/alarm-events.ts';
import { createLocalNode } from '../../test/local-node.ts';
import { connectSession } from '../../test/session-client.ts';
import { createSpanRecorder, type RecordedSpan } from '../../test/span-recorder.ts';
import { type ControlLimits, ControlRequests } from './control-requests.ts';

const { ControlReply, ControlRequest } = tailrace.v1;

const device = 'plant.press';
const limits: ControlLimits = {
  controlDeadlineMs: 5_000,
  controlRequestsMax: 2,
  userControlRequestsMax: 3,
  commandsPerConnectionMax: 2,
};
const claims: Claims = {
  ...{ subject: 'anna', tokenId: 't-1', tenant: 'plant', roles: ['operator'] },
  ...{ publish: [], subscribe: ['plant.>'], command: ['plant.press'] },
};

type Reply = tailrace.v1.ControlReply.$Properties;

/** A node whose control is a function of the test; each request waits until it is answered. */
async function createFixture(
  answer?: (request: tailrace.v1.ControlRequest) => Reply | TailraceError,
  tracing: Tracing = noTracing,
) {
  const node = createLocalNode({ partitions: 1 });
  const board = node.boards[0]!;
  board.ready(0);
  const requests: { request: tailrace.v1.ControlRequest; reply(reply: Reply): Promise<void>; deadlineMs: number }[] =
    [];
  const bus = {
    request(_subject: string, payload: Uint8Array, { deadlineMs }: { deadlineMs: number }) {
      const request = ControlRequest.decode(payload);
      const { promise, resolve, reject } = Promise.withResolvers<readonly Uint8Array[]>();
      const encoded = (reply: Reply) => [ControlReply.encode(reply).finish()];
      requests.push({
        request,
        deadlineMs,
        async reply(reply) {
          resolve(encoded(reply));
          await node.clock.advance(0);
        },
      });
      const known = answer?.(request);
      if (known instanceof TailraceError) reject(known);
      else if (known !== undefined) resolve(encoded(known));
      return promise;
    },
  };
  const control = new ControlRequests({ bus, hub: node.eventHub, partitions: 1, limits, tracing });
  const connect = async () => {
    const client = connectSession(node, { control, verify: async () => claims });
    await client.session.authenticate('t');
    client.received.length = 0;
    const send = async (message: ControlMessage) => {
      client.send(message);
      await node.clock.advance(0);
    };
    return { ...client, send };
  };
  const append = (number: number, state: string, id = 'cmd-1', awaits?: string) => {
    const transition = { id, key: 'c-1', device, number, state, time: number, ...(awaits && { awaits }) };
    board.take([{ seq: board.next, value: bytesOf(commandEvent(transition)) }], board.next + 1);
  };
  return { node, requests, control, connect, append };
}

const command = { command: { id: 'c-1', device, name: 'set', params: { level: 3 }, deadline: 1_000 } };
const accepted = (number = 1, state = 'accepted'): Reply => ({
  command: commandTransitionProto({ id: 'cmd-1', key: 'c-1', device, number, state, time: 1 }),
});

const statesIn = (messages: readonly ServerMessage[]) =>
  messages.flatMap((message) =>
    'command' in message && message.command.request === 'c-1'
      ? message.command.events.map(({ transition }) => transition.state)
      : [],
  );
const errorsIn = (messages: readonly ServerMessage[]) =>
  messages.flatMap((message) => ('error' in message ? [message.error] : []));

test('a command goes to control with the verified claims of its sender', async () => {
  const { requests, connect } = await createFixture();
  const { send } = await connect();
  await send(command);
  const { requester, command: submitted } = requests[0]!.request;
  assert.equal(requester?.subject, 'anna');
  assert.deepEqual([requester?.tokenId, requester?.tenant], ['t-1', 'plant']);
  assert.deepEqual(
    [requester?.roles, requester?.command, requester?.subscribe],
    [['operator'], ['plant.press'], ['plant.>']],
  );
  assert.deepEqual([submitted?.id, submitted?.qos, submitted?.params?.['level']?.number], ['c-1', 1, 3]);
  assert.equal(requests[0]!.deadlineMs, limits.controlDeadlineMs);
});

test('a command goes to control with its condition and its trace', async () => {
  const { requests, connect } = await createFixture();
  const { send } = await connect();
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  await send({ command: { ...command.command, onlyIf: 'temp < 80', seen: { mode: 4711 }, traceparent } });
  const { request } = requests[0]!;
  assert.equal(request.traceparent, traceparent);
  assert.equal(request.command?.onlyIf, 'temp < 80');
  assert.deepEqual(
    request.command?.seen?.map(({ tag, position }) => [tag, position]),
    [['mode', 4711]],
  );
});

test('a traced command has a span until control has replied, and control the trace of it', async () => {
  const recorder = createSpanRecorder();
  const { requests, connect } = await createFixture(undefined, recorder.tracing);
  const { send } = await connect();
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  await send({ command: { ...command.command, traceparent } });
  const [span] = recorder.spans as [RecordedSpan];
  assert.deepEqual([span.name, span.options.parent, span.ended], ['receive websocket', traceparent, false]);
  assert.equal(requests[0]!.request.traceparent, span.traceparent);
  await requests[0]!.reply(accepted());
  assert.equal(span.ended, true);
  await send({ command: { ...command.command, id: 'c-2' } });
  assert.deepEqual([requests[1]!.request.traceparent, recorder.spans.length], ['', 1]);
});

test('the sender gets the states that a board has read back, or has got from the owner of its partition', async () => {
  const { node, requests, control, connect, append } = await createFixture();
  const board = node.boards[0]!;
  const { send, received } = await connect();
  await send(command);
  await requests[0]!.reply(accepted());
  append(1, 'accepted');
  append(2, 'sent');
  // Another owner, whose events this board does not continue.
  board.reset(0);
  for (const [index, state] of ['accepted', 'sent', 'delivered'].entries()) append(index + 1, state);
  board.ready(board.next);
  board.reset(0);
  const transition = { id: 'cmd-1', key: 'c-1', device, number: 4, state: 'done', time: 4 };
  board.takeCurrent(9, bytesOf(commandEvent(transition)));
  board.ready(10);
  assert.deepEqual(statesIn(received), ['accepted', 'sent', 'delivered', 'done']);
  assert.equal(control.counts.watched, 0);
});

test('the sender gets each state once, also those that are in the log before the reply', async () => {
  const { requests, control, connect, append } = await createFixture();
  const { send, received } = await connect();
  await send(command);
  append(1, 'accepted');
  append(2, 'queued');
  append(3, 'sent', 'cmd-2');
  await requests[0]!.reply(accepted());
  append(2, 'queued');
  append(3, 'sent');
  append(4, 'done');
  append(5, 'failed');
  assert.deepEqual(statesIn(received), ['accepted', 'queued', 'sent', 'done']);
  assert.equal(control.counts.watched, 0);
});

test('what a device reports of a command that is unconfirmed reaches the sender', async () => {
  const { requests, control, connect, append } = await createFixture();
  const { send, received } = await connect();
  await send(command);
  await requests[0]!.reply(accepted());
  append(2, 'unconfirmed', 'cmd-1', 'outcome');
  assert.equal(control.counts.watched, 1);
  append(3, 'done');
  assert.deepEqual(statesIn(received), ['accepted', 'unconfirmed', 'done']);
  assert.equal(control.counts.watched, 0);
});

test('a command that is sent again, on another connection, continues from its present state', async () => {
  const { requests, connect, append } = await createFixture();
  const first = await connect();
  await first.send(command);
  await requests[0]!.reply(accepted());
  append(1, 'accepted');
  append(2, 'queued');
  first.session.onClose();
  const second = await connect();
  await second.send(command);
  append(3, 'sent');
  await requests[1]!.reply(accepted(2, 'queued'));
  append(4, 'done');
  assert.deepEqual(statesIn(first.received), ['accepted', 'queued']);
  assert.deepEqual(statesIn(second.received), ['queued', 'sent', 'done']);
});

test('a dry run, and a reply that is final, leave nothing behind', async () => {
  const { node, control, connect } = await createFixture(() => accepted(1, 'failed'));
  const { send, received } = await connect();
  await send(command);
  assert.deepEqual(statesIn(received), ['failed']);
  assert.equal(control.counts.watched, 0);
  assert.equal(node.eventHub.subscriptions, 0);
});

test('actions on alarms are passed on with what the person has seen', async () => {
  const { requests, connect } = await createFixture(() => ({ alarmAction: 'act-1' }));
  const { send, received } = await connect();
  const seen = { device, rule: 'too-hot', alarm: 'a-1', number: 3 };
  await send({ acknowledge: { id: 'r-1', ...seen, note: 'on my way' } });
  await send({ shelve: { id: 'r-2', ...seen, reason: 'test', forMs: 60_000 } });
  await send({ removeFromService: { id: 'r-3', device, rule: 'too-hot' } });
  const actions = requests.map(({ request: { alarm } }) => [alarm?.kind, alarm?.number, alarm?.note, alarm?.forMs]);
  assert.deepEqual(actions, [
    ['acknowledge', 3, 'on my way', 0],
    ['shelve', 3, 'test', 60_000],
    ['remove_from_service', 0, '', 0],
  ]);
  assert.deepEqual(
    received.map((message) => 'accepted' in message && message.accepted.request),
    ['r-1', 'r-2', 'r-3'],
  );
});

test('leases, cancellations and confirmations are passed on', async () => {
  const lease = { scope: 'plant.>', token: 4, holder: 'anna', until: 9, action: 'acquire', time: 1 };
  const { requests, connect } = await createFixture((request) =>
    request.lease ? { lease: leaseTransitionProto(lease) } : accepted(2, 'canceled'),
  );
  const { send, received } = await connect();
  await send({ lease: { id: 'r-1', scope: 'plant.>', action: 'acquire', forMs: 60_000 } });
  await send({ cancel: { id: 'r-2', command: 'cmd-1' } });
  await send({ confirm: { id: 'r-3', command: 'cmd-1' } });
  const [reply] = received;
  assert.ok(reply !== undefined && 'lease' in reply);
  assert.deepEqual(reply.lease, { view: 0, events: [{ partition: 0, transition: lease }], request: 'r-1' });
  const decisions = requests.slice(1).map(({ request: { decision } }) => [decision?.id, decision?.kind]);
  assert.deepEqual(decisions, [
    ['cmd-1', 1],
    ['cmd-1', 2],
  ]);
});

test('an error of control, and its absence, reach the sender with the request; the session goes on', async () => {
  const answers: (Reply | TailraceError)[] = [
    { error: { code: 'forbidden', message: 'role: expected engineer', retryable: false } },
    new TailraceError('unavailable', 'no responders for "tailrace.v1.control"'),
    new TailraceError('timeout', 'late at tailrace.v1.control'),
    {},
  ];
  const { control, connect } = await createFixture(() => answers.shift()!);
  const { send, received, closes } = await connect();
  for (let i = 0; i < 4; i++) await send({ command: { ...command.command, id: `c-${i}` } });
  assert.deepEqual(
    errorsIn(received).map(({ code, retryable, request }) => [code, retryable, request]),
    [
      ['forbidden', false, 'c-0'],
      ['unavailable', true, 'c-1'],
      ['timeout', true, 'c-2'],
      ['internal', false, 'c-3'],
    ],
  );
  for (const { message } of errorsIn(received)) assert.doesNotMatch(message, /tailrace\.v1/, 'no subject of the bus');
  assert.deepEqual([closes, control.counts.pending, control.counts.watched], [[], 0, 0]);
});

test('beyond the requests in progress of a connection and of a user a request is refused', async () => {
  const { requests, connect } = await createFixture();
  const first = await connect();
  const action = { acknowledge: { id: 'r', device, rule: 'r' } };
  for (let i = 0; i < 3; i++) await first.send(action);
  const second = await connect();
  for (let i = 0; i < 2; i++) await second.send(action);
  assert.equal(requests.length, 3);
  assert.deepEqual(
    [...errorsIn(first.received), ...errorsIn(second.received)].map(({ code }) => code),
    ['rate_limited', 'rate_limited'],
  );
  for (const { reply } of requests.splice(0)) await reply({ alarmAction: 'a' });
  await first.send(action);
  assert.equal(requests.length, 1);
});

test('beyond the commands in progress of a connection a further one is refused', async () => {
  const { connect } = await createFixture((request) => {
    const id = `cmd-${request.command?.id}`;
    return { command: commandTransitionProto({ id, device, number: 1, state: 'queued', time: 1 }) };
  });
  const { send, received } = await connect();
  for (let i = 0; i < 3; i++) await send({ command: { ...command.command, id: `c-${i}` } });
  assert.deepEqual(
    errorsIn(received).map(({ code, request }) => [code, request]),
    [['limit_reached', 'c-2']],
  );
});

test('after the connection has closed nothing is watched', async () => {
  const { requests, control, connect, append } = await createFixture();
  const { send, session, received } = await connect();
  await send(command);
  session.onClose();
  await requests[0]!.reply(accepted());
  append(2, 'done');
  assert.deepEqual(statesIn(received), []);
  assert.deepEqual([control.counts.watched, control.counts.pending, control.mostPending], [0, 0, 0]);
});
