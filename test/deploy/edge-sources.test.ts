import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readSourcesFile } from '@tailrace/edge/sources-file';
import { plantUnits } from '@tailrace/simulator/modbus/plant-units';

const path = join(import.meta.dirname, '../../deploy/edge/sources.json');

interface File {
  readonly sources: readonly { readonly units: readonly { readonly tags: readonly { readonly tag: string }[] }[] }[];
}

test('the gateway of Compose reads each register of the plant as the plant writes it', () => {
  const { sources } = readSourcesFile(path);
  assert.equal(sources.length, 1);
  const { units } = (JSON.parse(readFileSync(path, 'utf8')) as File).sources[0]!;
  const found = units.map((unit) => ({
    ...{ ...unit, addressing: undefined, pollMs: undefined },
    tags: unit.tags.map((tag) => ({ ...tag, unit: undefined, write: 'write' in tag })),
  }));
  const expected = plantUnits.map(({ unit, device, entries }) => ({
    ...{ unit, device, addressing: undefined, pollMs: undefined },
    tags: entries.map(({ isWritable = false, type, ...entry }) => ({
      ...entry,
      // A coil has one type.
      ...(type !== 'bit' && { type }),
      ...{ unit: undefined, write: isWritable },
    })),
  }));
  assert.deepEqual(found, expected);
});
