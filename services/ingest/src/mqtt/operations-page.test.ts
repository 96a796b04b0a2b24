import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { startMqtt } from '../../test/mqtt-fixture.ts';

const page = readFileSync(join(import.meta.dirname, '../../../../docs/OPERATIONS.md'), 'utf8');

test('docs/OPERATIONS.md has every metric of MQTT, bridges, Sparkplug and dead letters', async (t) => {
  const { metricsText } = await startMqtt(t);
  const names = Array.from((await metricsText()).matchAll(/^# TYPE (\S+)/gm), ([, name]) => name!);
  // The page has the rule for the names of limits.
  const own = names.filter((name) =>
    /^tailrace_ingest_(mqtt|bridge|sparkplug|((?!limit_)\w+_)?dead_letter)/.test(name),
  );
  assert.ok(own.length > 35, String(own.length));
  const missing = own.filter((name) => !page.includes(`\`${name}\``));
  assert.deepEqual(missing, []);
});
