import assert from 'node:assert/strict';
import { test } from 'node:test';
import { javaMajorFrom } from './java.ts';
import { newClusterId } from './kafka-format.ts';
import { hostAndPortFrom } from './kafka-handshake.ts';
import { kafkaVariablesFrom, propertiesFrom } from './kafka-settings.ts';
import { mqttAddressFrom } from './mqtt-handshake.ts';
import { natsAddressFrom, natsInfoFrom } from './nats-handshake.ts';

test('the version of Java is parsed in its old and new form', () => {
  assert.equal(javaMajorFrom('openjdk version "17.0.15" 2025-04-15'), 17);
  assert.equal(javaMajorFrom('java version "1.8.0_392"'), 8);
  assert.equal(javaMajorFrom('openjdk version "25" 2025-09-16'), 25);
  assert.equal(javaMajorFrom('The operation couldn’t be completed. Unable to locate a Java Runtime.'), 0);
});

test('settings become lines of a file or variables of the image', () => {
  const settings = { 'group.min.session.timeout.ms': 1000, listeners: 'A://:1' };
  assert.equal(propertiesFrom(settings), 'group.min.session.timeout.ms=1000\nlisteners=A://:1\n');
  assert.deepEqual(kafkaVariablesFrom(settings), {
    KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS: '1000',
    KAFKA_LISTENERS: 'A://:1',
  });
});

test('a cluster ID never starts with a dash, which StorageTool takes for an option', () => {
  for (let i = 0; i < 1000; i++) assert.match(newClusterId(), /^[A-Za-z0-9_][A-Za-z0-9_-]{21}$/);
});

test('an address of Kafka is host and port, and anything else is refused with its text', () => {
  assert.deepEqual(hostAndPortFrom('kafka.example:9092', 'V'), { host: 'kafka.example', port: 9092 });
  assert.deepEqual(hostAndPortFrom('[::1]:9092', 'V'), { host: '::1', port: 9092 });
  for (const address of [
    '',
    'localhost',
    ':9092',
    'localhost:0',
    'localhost:65536',
    'kafka://h:1',
    'a b:1',
    '::1:9092',
  ]) {
    assert.throws(() => hostAndPortFrom(address, 'TAILRACE_TEST_KAFKA'), {
      code: 'invalid_config',
      message: `TAILRACE_TEST_KAFKA: expected an address such as 127.0.0.1:9092, got ${JSON.stringify(address)}`,
    });
  }
});

test('an address of NATS is a URL; anything else is refused without the password in the message', () => {
  assert.deepEqual(natsAddressFrom('nats://a.example', 'V'), { host: 'a.example', port: 4222 });
  assert.deepEqual(natsAddressFrom('tls://user:secret@[::1]:4333', 'V'), { host: '::1', port: 4333 });
  for (const address of ['', '127.0.0.1:4222', 'http://127.0.0.1:4222', 'nats://']) {
    assert.throws(() => natsAddressFrom(address, 'V'), {
      code: 'invalid_config',
      message: /^V: expected an address such as nats:.*, got ".*"$/,
    });
  }
  assert.throws(
    () => natsAddressFrom('http://user:secret@h:1', 'V'),
    (error: Error) => !error.message.includes('secret') && error.message.includes('//…@h:1'),
  );
});

test('the greeting of NATS is parsed, and any other text is not', () => {
  assert.deepEqual(natsInfoFrom('INFO {"version":"2.12.1","port":4222}'), { version: '2.12.1' });
  assert.equal(natsInfoFrom('HTTP/1.1 400 Bad Request'), undefined);
  assert.equal(natsInfoFrom('INFO {'), undefined);
});

test('an address of an MQTT server is a URL of mqtt; anything else is refused without the password in the message', () => {
  assert.deepEqual(mqttAddressFrom('mqtt://a.example', 'V'), { host: 'a.example', port: 1883 });
  assert.deepEqual(mqttAddressFrom('mqtt://[::1]:1884', 'V'), { host: '::1', port: 1884 });
  for (const address of ['', '127.0.0.1:1883', 'mqtts://127.0.0.1:8883', 'mqtt://']) {
    assert.throws(() => mqttAddressFrom(address, 'V'), {
      code: 'invalid_config',
      message: /^V: expected an address such as mqtt:.*, got ".*"$/,
    });
  }
});
