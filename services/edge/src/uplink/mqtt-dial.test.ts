import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMqttUrl, mqttDial } from './mqtt-dial.ts';

test('a URL is one of MQTT by its scheme, or by the path of the listener', () => {
  for (const url of ['mqtt://a', 'mqtts://a:8883', 'wss://a/v1/mqtt', 'https://a/b/v1/mqtt/', 'MQTT://a'])
    assert.ok(isMqttUrl(url), url);
  for (const url of ['http://a', 'wss://a', 'wss://a/v1/device', 'https://a/v1/mqtts']) assert.ok(!isMqttUrl(url), url);
});

test('a URL with a password is refused, and the error does not have it', () => {
  for (const url of ['mqtt://u:secret@a', 'wss://u:secret@a/v1/mqtt']) {
    assert.throws(
      () => mqttDial(url),
      (error: Error & { code: string }) => error.code === 'invalid_config' && !error.message.includes('secret'),
    );
  }
});
