import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { placeFrom, whyNotHere } from './cluster-place.ts';

test('the environment sets the place, and how it gets images', () => {
  assert.deepEqual(placeFrom({}), {
    namespace: 'tailrace-cluster-test',
    registry: '',
    load: '',
    keeps: false,
    builds: true,
    clients: 120,
  });
  const place = placeFrom({
    NAMESPACE: 'n',
    TAILRACE_IMAGE_REGISTRY: 'r.example/t/',
    CLIENTS: '40',
    KEEP: '1',
    BUILD: '0',
  });
  assert.deepEqual(place, {
    namespace: 'n',
    registry: 'r.example/t',
    load: '',
    keeps: true,
    builds: false,
    clients: 40,
  });
});

test('an invalid or too large number of clients is refused', () => {
  for (const clients of ['many', '19', '2001', '60.5', '61']) {
    assert.throws(() => placeFrom({ CLIENTS: clients }), {
      code: 'invalid_config',
      message: new RegExp(`CLIENTS: expected an even number .*, got ${clients}`),
    });
  }
});

test('without a cluster it prints so and exits with 3, which is no failed test', async () => {
  const env = { PATH: process.env['PATH'], KUBECONFIG: '/nowhere/kubeconfig' };
  assert.match((await whyNotHere(placeFrom(env), env))!, /no Kubernetes cluster: there is no \/nowhere\/kubeconfig/);
  const { status, stderr, stdout } = spawnSync(process.execPath, [join(import.meta.dirname, 'cluster.ts')], {
    env,
    encoding: 'utf8',
    timeout: 20_000,
  });
  assert.equal(status, 3, stderr);
  assert.match(stderr, /^make cluster-test cannot run here: no Kubernetes cluster/);
  assert.equal(stdout, '');
});
