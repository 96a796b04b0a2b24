import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Lock, neededFolders } from './lock.ts';

const lock: Lock = {
  packages: {
    'services/a': { dependencies: { '@t/bus': '1', zod: '1' } },
    'node_modules/@t/bus': { link: true, resolved: 'packages/bus' },
    'packages/bus': { dependencies: { nats: '1' } },
    'node_modules/zod': {},
    'node_modules/nats': {
      dependencies: { long: '1' },
      optionalDependencies: { native: '1', other: '1' },
      peerDependencies: { react: '1', zod: '1' },
      peerDependenciesMeta: { react: { optional: true } },
    },
    'node_modules/nats/node_modules/long': {},
    'node_modules/long': {},
    'node_modules/native': {},
    'node_modules/other': {},
    'node_modules/react': {},
    'node_modules/vite': {},
  },
};

test('a service has what it needs, through links, from the nearest folder, and nothing that only others need', () => {
  const needed = neededFolders(lock, 'services/a', (folder) => folder !== 'node_modules/other');
  assert.deepEqual([...needed.keys()].sort(), [
    'node_modules/@t/bus',
    'node_modules/native',
    'node_modules/nats',
    'node_modules/nats/node_modules/long',
    'node_modules/zod',
    'packages/bus',
    'services/a',
  ]);
  assert.deepEqual(needed.get('node_modules/@t/bus'), ['packages/bus']);
});

test('what is needed and not installed is named', () => {
  assert.throws(() => neededFolders(lock, 'services/a', (folder) => folder !== 'node_modules/zod'), {
    message: /services\/a needs zod, which is not installed/,
  });
  assert.throws(() => neededFolders(lock, 'services/b', () => true), { message: /has no services\/b/ });
});
