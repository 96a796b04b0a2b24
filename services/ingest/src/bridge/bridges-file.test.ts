import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bridgesText } from './bridges-check.ts';
import { bridgesFrom, brokerAddressOf, readBridgesFile } from './bridges-file.ts';

const subscription = { filter: 'plant1/+', map: { payload: 'json', device: 'plant1.{2}' } };
const bridge = { name: 'plant', url: 'mqtt://broker:1883', publish: ['plant1.>'], subscriptions: [subscription] };

const parse = (...bridges: object[]) => bridgesFrom(JSON.stringify({ bridges }));

function errors(...bridges: object[]): string {
  try {
    parse(...bridges);
  } catch (error) {
    return (error as Error).message;
  }
  return '';
}

test('the defaults are those of a shared subscription of MQTT 5 whose session outlives a restart', () => {
  const [parsed] = parse(bridge);
  const { version, share, sessionExpiryMs, receiveMaximum, subscriptions } = parsed!;
  assert.deepEqual([version, share, sessionExpiryMs, receiveMaximum], [5, 'tailrace', 3_600_000, 2_048]);
  assert.deepEqual([subscriptions[0]!.qos, subscriptions[0]!.retained], [1, 'never']);
  assert.equal(parse({ ...bridge, version: 4, node: 'ingest-0' })[0]!.share, '');
  assert.deepEqual(readBridgesFile(''), []);
});

test('an address has a host, a port and TLS', () => {
  assert.deepEqual(brokerAddressOf('mqtt://h'), { host: 'h', port: 1883, isTls: false });
  assert.deepEqual(brokerAddressOf('mqtts://h'), { host: 'h', port: 8883, isTls: true });
  assert.deepEqual(brokerAddressOf('mqtts://[::1]:99/'), { host: '::1', port: 99, isTls: true });
});

test('each error names its field, what was expected, and what came', () => {
  const withSubscription = (more: object) => ({ ...bridge, subscriptions: [{ ...subscription, ...more }] });
  const withMap = (more: object) => withSubscription({ map: { ...subscription.map, ...more } });
  for (const [file, expected] of [
    [{ ...bridge, name: 'Plant 1' }, /bridges\[0\]\.name: expected 1 to 32 of a-z, 0-9 and -, got "Plant 1"/],
    [{ ...bridge, url: 'http://h' }, /bridges\[0\]\.url: expected mqtt:\/\/host:port/],
    [{ ...bridge, url: 'mqtt://user:secret@h' }, /bridges\[0\]\.url: expected mqtt/],
    [{ ...bridge, publish: [] }, /bridges\[0\]\.publish: expected at least 1 items, got \[\]/],
    [{ ...bridge, publish: undefined }, /bridges\[0\]\.publish: expected array, got none/],
    [{ ...bridge, retries: 3 }, /bridges\[0\]: expected no key "retries"; expected one of name, url, /],
    [{ ...bridge, version: 4, share: 'x' }, /bridges\[0\]\.share: expected none with version 4/],
    [{ ...bridge, version: 4 }, /bridges\[0\]\.node: expected the ingest node that runs the bridge/],
    [{ ...bridge, share: '' }, /bridges\[0\]\.node: expected the ingest node .*: without a share each node would take/],
    [{ ...bridge, tls: { caFile: 'x' } }, /bridges\[0\]\.tls: expected it with an mqtts:\/\/ url only/],
    [{ ...bridge, url: 'mqtts://h', tls: { keyFile: 'x' } }, /tls: expected certFile and keyFile together/],
    [{ ...bridge, passwordFile: 'x' }, /username: expected one with passwordFile/],
    [{ ...bridge, subscriptions: [] }, /bridges\[0\]: expected subscriptions, sparkplug, or both/],
    [
      withSubscription({ filter: 'a/#/b' }),
      /subscriptions\[0\]\.filter: expected \+ as a whole level and # as the last/,
    ],
    [withSubscription({ filter: '$share/x/a' }), /filter: expected it without \$share/],
    [withSubscription({ filter: 'spBv1.0/#' }), /filter: expected none with topics of Sparkplug/],
    [withMap({ device: 'plant1.{3}' }), /map: expected a level of "plant1\/\+", \{1\} to \{2\}, got "\{3\}"/],
    [withMap({ device: 'plant1.{#}' }), /map: expected \{#\} only with a filter that ends with #/],
    [withMap({ device: 'plant1.{' }), /map: expected \{n\} for level n of the topic/],
    [withMap({ value: '/v' }), /map: expected value and tag together/],
    [withMap({ time: 'ts' }), /map\.time: expected a JSON pointer/],
    [withMap({ payload: 'xml' }), /map\.payload: expected/],
  ] as const) {
    assert.match(errors(file), expected);
  }
  const overlapping = { ...bridge, subscriptions: [subscription, { ...subscription, filter: '+/a' }] };
  assert.match(errors(overlapping), /subscriptions\[1\]\.filter: expected no overlap with plant1\/\+/);
  assert.match(errors(bridge, bridge), /bridges\[1\]\.name: expected each name once, got plant again/);
  assert.match(errors(...Array(17).fill(bridge)), /bridges: expected at most 16 items/);
});

test('an error of the JSON does not quote the file, which may have secrets', () => {
  assert.throws(
    () => bridgesFrom('{"bridges": [secret'),
    (error: Error) => {
      assert.match(error.message, /mqttBridgesFile:\n {2}expected JSON/);
      return !error.message.includes('secret');
    },
  );
});

test('a bridge may be for Sparkplug alone', () => {
  // It is no member of a share, and each node is to receive all messages.
  const sparkplug = { prefix: 'plant1' };
  const [parsed] = parse({ ...bridge, version: 4, subscriptions: undefined, sparkplug });
  assert.equal(parsed!.sparkplug!.role, 'passive');
});

test('the check shows what becomes of each sample', () => {
  const samples = [
    { topic: 'plant1/press7', payload: '{"t":1}' },
    { topic: 'plant1/press7', payload: 'x' },
  ];
  const bridges = parse({ ...bridge, subscriptions: [{ ...subscription, samples }] });
  assert.equal(
    bridgesText(bridges),
    `bridge plant: mqtt://broker:1883, MQTT 5, shared as tailrace, may publish plant1.>
  plant1/+ at QoS 1, payload json
    plant1/press7 {"t":1}
      report {"device":"plant1.press7","readings":[{"tag":"t","value":1}]}
    plant1/press7 x
      dead letter malformed_json: the JSON is malformed at line 1, column 1: expected a value: an object, an array, a text in double quotes, a number, true, false or null, got "x", near "x"
`,
  );
  assert.match(bridgesText(parse(bridge)), /no samples: add some/);
  const withTime = { ...subscription, map: { ...subscription.map, time: '/at' } };
  const timed = [{ topic: 'plant1/press7', payload: '{"t":1,"at":1764460800000}' }];
  assert.match(
    bridgesText(parse({ ...bridge, subscriptions: [{ ...withTime, samples: timed }] })),
    /"time":1764460800000,/,
  );
});

test('the check shows that a device is outside the rights of the bridge', () => {
  const samples = [{ topic: 'plant1/press7', payload: '{"t":1}' }];
  const bridges = parse({ ...bridge, publish: ['plant2.>'], subscriptions: [{ ...subscription, samples }] });
  assert.match(
    bridgesText(bridges),
    /dead letter forbidden: "plant1\.press7" is not covered: the bridge plant may publish plant2\.>/,
  );
});
