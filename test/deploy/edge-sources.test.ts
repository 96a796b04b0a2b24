import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readSourcesFile, sourcesFrom } from '@tailrace/edge/sources-file';
import { plantSources } from '@tailrace/simulator/plant-sources';

const path = join(import.meta.dirname, '../../deploy/edge/sources.json');

test('the gateway of Compose reads each register of the plant as the plant writes it', () => {
  assert.equal(readSourcesFile(path).sources.length, 1);
  const expected = plantSources({ modbus: { host: 'simulator', port: 5020 } });
  assert.deepEqual(JSON.parse(readFileSync(path, 'utf8')), expected);
});

test('the gateway of the demo has a valid sources file with both protocols', () => {
  const servers = {
    modbus: { host: '127.0.0.1', port: 5020 },
    opcua: { endpoint: 'opc.tcp://127.0.0.1:4840' },
  };
  const { sources, commands } = sourcesFrom(JSON.stringify(plantSources(servers)));
  assert.deepEqual(
    sources.map(({ name, tags }) => [name, tags.length]),
    [
      ['utility', 24],
      ['air', 18],
    ],
  );
  assert.equal(commands.length, 6);
});
