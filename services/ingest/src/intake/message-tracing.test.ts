import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noSpan, type Tracing } from '@tailrace/platform/tracing';
import { MessageTracing } from './message-tracing.ts';

test('a message that is not sampled asks once, by its traceparent, and has no span', () => {
  const asked: unknown[] = [];
  const tracing: Pick<Tracing, 'enabled' | 'sampled' | 'span'> = {
    enabled: true,
    sampled: (parent) => asked.push(parent) === 0,
    span: () => assert.fail('a span'),
  };
  const traces = new MessageTracing({ tracing, clock: { monotonic: () => 0 }, topic: 't', system: undefined });
  assert.equal(traces.start('mqtt', '', 10, 0), undefined);
  assert.equal(traces.start('mqtt', '00-a', 10, 0), undefined);
  assert.deepEqual(asked, [undefined, '00-a']);
});

test('without tracing nothing is decided', () => {
  const tracing: Pick<Tracing, 'enabled' | 'sampled' | 'span'> = {
    enabled: false,
    sampled: () => assert.fail('a decision'),
    span: () => assert.fail('a span'),
  };
  const traces = new MessageTracing({ tracing, clock: { monotonic: () => 0 }, topic: 't', system: undefined });
  assert.equal(traces.start('bridge', '', 10, 0), undefined);
});

test('the span of a message starts with its receipt, although it is decided when its turn has come', () => {
  const ages: unknown[] = [];
  const tracing: Pick<Tracing, 'enabled' | 'sampled' | 'span'> = {
    enabled: true,
    sampled: () => true,
    span(_name, _attributes, options) {
      ages.push(options?.ageMs);
      return noSpan;
    },
  };
  const traces = new MessageTracing({ tracing, clock: { monotonic: () => 250 }, topic: 't', system: undefined });
  traces.start('websocket', '', 10, 100)!.rejected();
  assert.deepEqual(ages, [150]);
});
