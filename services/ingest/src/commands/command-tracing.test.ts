import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Span, SpanOptions } from '@tailrace/platform/tracing';
import type { CommandOutcome, DeviceCommand } from '@tailrace/protocol/device-command';
import { CommandTracing } from './command-tracing.ts';

const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
const command: DeviceCommand = {
  ...{
    id: 'c-1',
    device: 'plant.press',
    name: 'set',
    params: {},
    qos: 1,
    deadline: 1,
    issued: 0,
    fence: 0,
    session: 0,
  },
  ...{ subject: 'anna', traceparent, via: '' },
};
const outcome: CommandOutcome = {
  ...{ id: 'c-1', device: 'plant.press', state: 'accepted', time: 1, node: 'n', session: 1, attempt: 1, message: '' },
  holder: '',
};

function createRecorder() {
  const spans: { name: string; options: SpanOptions; facts: Record<string, unknown>; state: string }[] = [];
  const span = (name: string, facts: object = {}, options: SpanOptions = {}): Span => {
    const recorded = { name, options, facts: { ...facts } as Record<string, unknown>, state: 'open' };
    spans.push(recorded);
    return {
      traceparent: `span-${spans.length}`,
      set(key, value) {
        recorded.facts[key] = value;
      },
      fail() {
        recorded.state = 'failed';
      },
      run: (call) => call(),
      end() {
        recorded.state += ', closed';
      },
    };
  };
  const tracing = new CommandTracing({
    tracing: { enabled: true, sampled: (parent?: string) => parent === traceparent, span },
    system: 'nats',
  });
  return { spans, tracing };
}

test('the request of a traced command has a span, and its command goes on with the span as its trace', () => {
  const { spans, tracing } = createRecorder();
  let seen = '';
  const reply = tracing.request({ command }, (request) => {
    assert.ok('command' in request);
    seen = request.command.traceparent;
    return outcome;
  });
  assert.deepEqual([reply, seen], [outcome, 'span-1']);
  const [span] = spans;
  assert.deepEqual([span?.name, span?.options.parent], ['process tailrace.v1.command', traceparent]);
  assert.deepEqual([span?.facts['tailrace.command.state'], span?.state], ['accepted', 'open, closed']);
});

test('the way to the device has a span with its outcome', () => {
  const { spans, tracing } = createRecorder();
  const span = tracing.sent(command, 'mqtt');
  tracing.finished(span, { state: 'failed', code: 'timeout', attempt: 3 });
  const { name, facts, state } = spans[0]!;
  assert.deepEqual([name, facts['messaging.system'], state], ['send mqtt', 'mqtt', 'open, closed']);
  assert.deepEqual(
    [facts['tailrace.command.state'], facts['tailrace.command.code'], facts['tailrace.command.attempts']],
    ['failed', 'timeout', 3],
  );
});

test('commands without a trace, and queries, have no span; an error of a request fails it', () => {
  const { spans, tracing } = createRecorder();
  const untraced = { ...command, traceparent: '' };
  assert.equal(
    tracing.request({ command: untraced }, () => outcome),
    outcome,
  );
  assert.equal(
    tracing.request({ query: { id: 'c-1', device: 'plant.press' } }, () => outcome),
    outcome,
  );
  assert.equal(tracing.sent(untraced, 'websocket').traceparent, '');
  assert.equal(spans.length, 0);
  const refused = () => {
    throw new Error('refused');
  };
  assert.throws(() => tracing.request({ command }, refused), /refused/);
  assert.equal(spans[0]?.state, 'failed, closed');
});
