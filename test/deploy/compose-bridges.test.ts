import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { bridgesText } from '@tailrace/ingest/bridge/bridges-check';
import { readBridgesFile } from '@tailrace/ingest/bridge/bridges-file';

test('the bridge of Compose maps its samples to reports', () => {
  const bridges = readBridgesFile(join(import.meta.dirname, '../../deploy/mosquitto/bridges.json'));
  const text = bridgesText(bridges);
  for (const reading of [
    '"device":"factory.line1.press7"',
    '{"tag":"motor.rpm","value":1480}',
    '{"tag":"pressure","value":101.3}',
  ])
    assert.ok(text.includes(reading), text);
  assert.doesNotMatch(text, /dead letter/);
});
