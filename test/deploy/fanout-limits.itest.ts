import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FanoutSettings, fanoutSettings } from '@tailrace/fanout/config';
import { issueToken } from '@tailrace/platform/token';
import { eventually } from '@tailrace/testkit/eventually';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { watchedBy } from '../../scripts/limits.ts';
import { startNode, tokenSecret } from '../../services/fanout/test/node.ts';
import { watch } from '../../services/fanout/test/watcher.ts';

failOnLeaks();

/** The metric to compare with each limit, by setting. */
const gauges: Partial<Record<keyof FanoutSettings, string>> = watchedBy['fanout']!;

/** Limits of one request or one decision: nothing accumulates, and each refusal is counted. */
const single: Partial<Record<keyof FanoutSettings, string>> = {
  messageBytesMax:
    'of one message; larger ones are counted as received_messages_total{kind="invalid"} and close with 4413',
  resumeBytesMax: 'of one reply; what does not fit is counted as incomplete_resumed_partitions_total',
  resumeRecordsMax: 'of one reply; older records are counted as incomplete_resumed_partitions_total',
  recoveryRecordsMax: 'of one recovery, when a partition is taken over',
  staleMsMax: 'a time of devices, not a resource of this node',
};

/** The value of a limit gauge, where it is not the setting itself. */
const shownAs: Partial<Record<keyof FanoutSettings, (settings: FanoutSettings) => number>> = {
  lagMsMax: ({ lagMsMax }) => lagMsMax / 1_000,
  handshakesPerSecondMax: ({ handshakesPerSecondMax }) => 2 * handshakesPerSecondMax,
  addressHandshakesPerSecondMax: ({ addressConnectionsMax }) => addressConnectionsMax,
  messagesPerSecondMax: ({ messagesPerSecondMax, subscriptionsMax }) => 2 * (messagesPerSecondMax + subscriptionsMax),
  windowBytesMax: ({ windowBytesMax, telemetryPartitions }) => windowBytesMax * telemetryPartitions,
};

const prefix = 'tailrace_fanout_';

interface Series {
  readonly name: string;
  readonly labels: string;
  readonly value: number;
}

function seriesIn(page: string): Series[] {
  return page
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name, labels, value] = /^([a-z_]+)\{(.*)\} (\S+)$/.exec(line) ?? assert.fail(line);
      return { name: name!, labels: labels!, value: Number(value) };
    });
}

test('every limit in the settings has a gauge to compare, and a gauge of the limit', async (t) => {
  const bounds = Object.keys(fanoutSettings).filter((key) => /Max$/.test(key)) as (keyof FanoutSettings)[];
  for (const key of bounds) {
    const isKnown = gauges[key] === undefined ? single[key] !== undefined : single[key] === undefined;
    assert.ok(isKnown, `${key} is new: add its gauge to scripts/limits.ts, or here why it needs none`);
  }
  // Each limit has another value, so that none is mistaken for another.
  const own = Object.fromEntries(bounds.filter((key) => key in gauges).map((key, i) => [key, 100_003 + 17 * i]));
  const settings = { ...own, telemetryPartitions: 4 } as unknown as FanoutSettings;
  const node = await startNode(settings);
  t.after(() => node.stop());
  const series = seriesIn(await node.page());
  const shown = (name: string) => series.find((each) => each.name === name)?.value;
  for (const [key, gauge] of Object.entries(gauges) as [keyof FanoutSettings, string][]) {
    assert.ok(Number.isFinite(shown(gauge)), `${gauge} is there, for ${key}`);
    const limitGauge = gauge.replace(prefix, `${prefix}limit_`);
    assert.equal(shown(limitGauge), shownAs[key]?.(settings) ?? settings[key], `${limitGauge} is ${key}`);
  }
});

test('a limit has the name of the gauge that it limits', async (t) => {
  const node = await startNode();
  t.after(() => node.stop());
  const names = new Set(seriesIn(await node.page()).map(({ name }) => name));
  const alone = [...names].filter((name) => {
    const limited = name.replace('_limit_', '_');
    return name !== limited && !names.has(limited) && !names.has(`${limited}_count`);
  });
  // High water, well below the limit of the same socket.
  assert.deepEqual(alone, ['tailrace_fanout_limit_socket_high_water_bytes']);
});

/** Limit of one node. A Prometheus stores millions. */
const seriesMax = 560;

test('devices, channels, users and addresses create no series', async (t) => {
  const node = await startNode();
  t.after(() => node.stop());
  const before = seriesIn(await node.page()).length;
  const numbers = Array.from({ length: 20 }, (_, i) => i);
  const watchers = await Promise.all(
    numbers.map(async (i) => {
      const subject = `someone${i}`;
      const token = await issueToken({
        secret: tokenSecret,
        subject,
        publish: [],
        subscribe: ['>'],
        expiresInMs: 60_000,
      });
      const watcher = await watch({ port: node.port, token });
      await watcher.next('welcome');
      watcher.send({ subscribe: { id: `mine${i}`, channel: `somewhere.d${i}`, maxRate: 1 + i } });
      await watcher.next('subscribed');
      return watcher;
    }),
  );
  for (const i of numbers) await node.append(`somewhere.d${i}`, [{ tag: `tag${i}`, value: i }]);
  await eventually(async () => assert.equal(await node.metric('tailrace_fanout_reports_total'), 20));
  const page = await node.page();
  assert.equal(seriesIn(page).length, before);
  assert.ok(before <= seriesMax, `${before} series`);
  assert.doesNotMatch(page, /someone|somewhere|mine\d|tag\d|127\.0\.0\.1/);
  for (const watcher of watchers) await watcher.end();
  await eventually(async () => {
    const closed = seriesIn(await node.page()).filter(({ name }) => name === `${prefix}closed_connections_total`);
    assert.equal(closed.find(({ labels }) => labels.includes('code="1005"'))?.value, 20);
  });
});

test('messages, errors and close codes of clients are counted by closed lists', async (t) => {
  const node = await startNode();
  t.after(() => node.stop());
  const counted = async (name: string, label: string) => {
    const series = seriesIn(await node.page());
    return series.find((each) => each.name === `${prefix}${name}` && each.labels.includes(label))?.value;
  };
  const watcher = await watch({ port: node.port, token: node.token });
  await watcher.next('welcome');
  watcher.send({ subscribe: { id: 'a', channel: 'x.y' } });
  await watcher.next('subscribed');
  watcher.send({ unsubscribe: { id: 'unknown' } });
  await watcher.next('error');
  assert.equal(await counted('received_messages_total', 'kind="subscribe"'), 1);
  assert.equal(await counted('received_messages_total', 'kind="unsubscribe"'), 1);
  assert.equal(await counted('sent_errors_total', 'code="not_found"'), 1);
  assert.equal(await counted('started_subscriptions_total', 'start="snapshot"'), 1);
  assert.equal(await counted('subscribe_duration_seconds_count', ''), 1);
  const answer = await fetch(`http://127.0.0.1:${node.port}/v1/route?device=x.y&token=${node.token}`);
  await answer.text();
  assert.equal(await counted('http_requests_total', 'endpoint="route",code="ok"'), answer.status === 200 ? 1 : 0);
  assert.equal(await counted('http_request_duration_seconds_count', 'endpoint="route"'), 1);
  await node.append('x.y', [{ tag: 'n', value: 1 }]);
  await eventually(async () => assert.equal(await counted('published_age_seconds_count', 'source="log"'), 1));
  const bad = await node.connect({ path: `/v1/stream?token=${node.token}` });
  bad.sendText('nonsense');
  await eventually(async () => assert.equal(await counted('closed_connections_total', 'code="4400"'), 1));
  assert.equal(await counted('received_messages_total', 'kind="invalid"'), 1);
  await watcher.end();
});
