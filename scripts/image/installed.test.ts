import assert from 'node:assert/strict';
import { test } from 'node:test';
import { installedPackages } from './installed.ts';

const zod = { name: 'zod', version: '4.0.0', license: 'MIT', path: '/app/node_modules/zod' };
const bus = {
  name: '@t/bus',
  version: '0.1.0',
  path: '/app/node_modules/@t/bus',
  dependencies: {
    nats: { name: 'nats', version: '3.0.0', path: '/app/node_modules/nats', dependencies: { zod, other: {} } },
  },
};
const links: Readonly<Record<string, string>> = {
  '/app/node_modules/@t/a': '/app/services/a',
  '/app/node_modules/@t/bus': '/app/packages/bus',
};
const realPath = (path: string) => links[path] ?? path;
const listing = {
  dependencies: {
    '@t/a': {
      name: '@t/a',
      version: '0.1.0',
      path: '/app/node_modules/@t/a',
      dependencies: { '@t/bus': bus, zod },
    },
  },
};

test('a service has what npm lists for it, through links, and no optional package that is not installed', () => {
  const installed = installedPackages(listing, '/app', realPath);
  assert.deepEqual(
    [...installed.values()].map(({ folder, link, needs }) => [folder, link, [...needs]]),
    [
      ['services/a', 'node_modules/@t/a', ['packages/bus', 'node_modules/zod']],
      ['packages/bus', 'node_modules/@t/bus', ['node_modules/nats']],
      ['node_modules/nats', undefined, ['node_modules/zod']],
      ['node_modules/zod', undefined, []],
    ],
  );
  assert.equal(installed.get('node_modules/zod')?.license, 'MIT');
});

test('a package that is missing is named, and another version of one is accepted', () => {
  const problems = ['missing: zod@4, required by @t/a@0.1.0', 'invalid: uWebSockets.js@20.52.0 /app/node_modules/x'];
  assert.throws(
    () => installedPackages({ ...listing, problems }, '/app', realPath),
    /got missing: zod@4, required by @t\/a/,
  );
  assert.equal(installedPackages({ ...listing, problems: problems.slice(1) }, '/app', realPath).size, 4);
});
