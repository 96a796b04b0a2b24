import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leastValues, refusal, render, type Values } from './chart.ts';

const standalone = { standalone: { enabled: true } };
const secure: Values = {
  ...leastValues,
  production: true,
  kafka: { brokers: ['kafka:9093'], tls: { enabled: true } },
  nats: { servers: ['nats://nats:4222'], tls: { enabled: true } },
};
const streams = { streams: 'streams.example.org' };

/** Contradictory values, and the part of the error that has what to do. */
const contradictions: readonly (readonly [what: string, values: Values, sentence: RegExp])[] = [
  [
    'nothing at all',
    {},
    /kafka\.brokers is empty, and alarms needs Kafka; expected a list such as \[kafka:9092\], or values-embedded\.yaml/,
  ],
  ['no NATS', { ...leastValues, nats: { servers: [] } }, /nats\.servers is empty, and fanout needs NATS/],
  ['no secret', { ...leastValues, auth: {} }, /nothing is set that verifies tokens.*expected auth\.existingSecret/],
  [
    'two secrets',
    { ...leastValues, auth: { existingSecret: 'a', tokenSecret: 'b'.repeat(40) } },
    /are both set; expected one of them/,
  ],
  [
    'control without a database',
    { ...leastValues, control: { enabled: true } },
    /control\.enabled is true and database\.existingSecret is empty; expected the name of the Secret with the URL of PostgreSQL/,
  ],
  ['a short secret', { ...leastValues, auth: { tokenSecret: 'secret' } }, /has 6 characters; expected at least 32/],
  [
    'TLS without a certificate',
    { ...leastValues, ingest: { tls: { enabled: true } } },
    /ingest\.tls\.enabled is true and ingest\.tls\.certSecret is empty; expected the name of the Secret/,
  ],
  [
    'certificates of devices without rules',
    { ...leastValues, ingest: { tls: { enabled: true, certSecret: 'a', clientCaSecret: 'b' } } },
    /ingest\.config\.certificateRules is empty; expected rules that map certificates to devices/,
  ],
  [
    'revocation lists without their authority',
    { ...leastValues, ingest: { tls: { enabled: true, certSecret: 'a', clientCrlSecret: 'b' } } },
    /ingest\.tls\.clientCrlSecret is set and ingest\.tls\.clientCaSecret is empty; expected the CA/,
  ],
  [
    'rules for certificates that are not requested',
    { ...leastValues, ingest: { config: { certificateRules: '[]' } } },
    /certificateRules is set and no client certificate is accepted; expected ingest\.tls\.clientCaSecret/,
  ],
  [
    'a header of any client',
    {
      ...leastValues,
      ingest: { config: { certificateRules: '[]', clientCertificateHeader: 'x-forwarded-client-cert' } },
    },
    /clientCertificateHeader is set and trustedProxies is empty; expected the networks of the proxies/,
  ],
  [
    'no service',
    Object.fromEntries(['alarms', 'fanout', 'ingest', 'dashboard'].map((name) => [name, { enabled: false }])),
    /no service is enabled/,
  ],
  [
    'a fixed number and a scaler',
    { ...leastValues, fanout: { replicas: 3, hpa: { enabled: true } } },
    /fanout\.replicas is 3 and fanout\.hpa\.enabled is true; .*leave replicas out/,
  ],
  [
    'a fixed number and KEDA',
    { ...leastValues, fanout: { replicas: 3, keda: { enabled: true } } },
    /fanout\.replicas is 3 and fanout\.keda\.enabled is true/,
  ],
  [
    'two scalers',
    { ...leastValues, fanout: { hpa: { enabled: true }, keda: { enabled: true } } },
    /both true; two scalers undo each other/,
  ],
  [
    'lag of a service that reads nothing',
    { ...leastValues, ingest: { keda: { enabled: true } } },
    /ingest\.keda\.enabled is true, and ingest has no consumer lag/,
  ],
  [
    'a scaler with nothing to scale by',
    { ...leastValues, ingest: { hpa: { enabled: true, cpuPercent: null } } },
    /nothing to scale by; set ingest\.hpa\.cpuPercent/,
  ],
  [
    'a minimum above the maximum',
    { ...leastValues, ingest: { hpa: { enabled: true, minReplicas: 5, maxReplicas: 3 } } },
    /minReplicas is 5 and maxReplicas 3/,
  ],
  [
    'a grace shorter than the drain',
    { ...leastValues, fanout: { terminationGracePeriodSeconds: 10 } },
    /fanout\.terminationGracePeriodSeconds is 10, and a stop may take 16 s .*expected 16 or more/,
  ],
  [
    'a drain longer than the grace',
    { ...leastValues, fanout: { terminationGracePeriodSeconds: 60, config: { drainMs: 120_000 } } },
    /is 60, and a stop may take 128 s/,
  ],
  [
    'more nodes than partitions',
    { ...leastValues, fanout: { replicas: 13 } },
    /may have 13 replicas, and the topic has 12 partitions.*at most 12/,
  ],
  [
    'a scaler to more nodes than partitions',
    { ...leastValues, fanout: { hpa: { enabled: true, maxReplicas: 20 } } },
    /may have 20 replicas, and the topic has 12 partitions/,
  ],
  [
    'partitions that differ',
    { ...leastValues, fanout: { config: { telemetryPartitions: 24 } } },
    /telemetryPartitions is 12 for alarms and 24 for fanout; .*set config\.telemetryPartitions, once for all/,
  ],
  [
    'more clients than a node carries',
    { ...leastValues, fanout: { config: { connectionsMax: 50_000 } } },
    /connectionsMax is 50000; expected at most 20000/,
  ],
  [
    'standalone beside others',
    { ...leastValues, standalone: { enabled: true }, dashboard: { enabled: true } },
    /standalone\.enabled is true, and so is dashboard\.enabled/,
  ],
  [
    'standalone twice',
    { ...standalone, standalone: { enabled: true, replicas: 2 } },
    /standalone has 2 replicas; expected 1/,
  ],
  [
    'a name without a node',
    { ...leastValues, hosts: { node: 'streams.example.org' } },
    /hosts\.node is "streams\.example\.org", the same for all nodes; expected \{node\}/,
  ],
  [
    'an address without a node',
    { ...leastValues, fanout: { publicUrl: 'wss://streams.example.org' } },
    /fanout\.publicUrl is .* the same for all nodes/,
  ],
  ['an ingress without a name', { ...leastValues, ingress: { enabled: true } }, /no name is under hosts/],
  [
    'a route without a gateway',
    { ...leastValues, hosts: streams, httpRoute: { enabled: true } },
    /httpRoute\.parentRefs is empty/,
  ],
  [
    'a login without a password',
    { ...leastValues, kafka: { brokers: ['kafka:9092'], sasl: { mechanism: 'plain' } } },
    /kafka\.sasl\.existingSecret is empty/,
  ],
  [
    'a NATS login without a Secret',
    { ...leastValues, nats: { servers: ['nats://nats:4222'], auth: { passwordKey: 'password' } } },
    /nats\.auth\.existingSecret is empty/,
  ],
  [
    'a simulator that cannot sign',
    { ...leastValues, simulator: { enabled: true }, auth: { existingSecret: 'keys', keys: { tokenSecret: '' } } },
    /simulator\.token\.sign is true, and there is no shared secret/,
  ],
  [
    'a token in no Secret',
    { ...leastValues, auth: { tokenSecret: 'a'.repeat(40) }, dashboard: { token: { secretKey: 'page' } } },
    /dashboard\.token\.secretKey is "page", a key of auth\.existingSecret, which is empty/,
  ],
  [
    'production without TLS to Kafka',
    { ...leastValues, production: true },
    /production is true and kafka\.tls\.enabled is false/,
  ],
  [
    'production without TLS to NATS',
    { ...secure, nats: leastValues['nats'] },
    /production is true and nats\.tls\.enabled is false/,
  ],
  [
    'production with a key in the values',
    { ...secure, auth: { tokenSecret: 'a'.repeat(40) } },
    /auth\.tokenSecret is in the values.*expected auth\.existingSecret/,
  ],
  [
    'production with the demo sign-in',
    { ...secure, dashboard: { token: { sign: true } } },
    /dashboard\.token\.sign, too: any visitor/,
  ],
  [
    'production without TLS to the database',
    { ...secure, database: { existingSecret: 'store-app' } },
    /production is true and database\.tls\.enabled is false/,
  ],
  ['production in one pod', { ...standalone, production: true }, /production is true and standalone\.enabled, too/],
  [
    'production behind a plain ingress',
    { ...secure, hosts: streams, ingress: { enabled: true } },
    /ingress is without TLS.*ingress\.tls\.enabled: true/,
  ],
  [
    'production behind a plain gateway',
    { ...secure, hosts: streams, httpRoute: { enabled: true, parentRefs: [{ name: 'a' }] } },
    /httpRoute is without TLS.*httpRoute\.tls: true/,
  ],
  ['production at a plain address', { ...secure, fanout: { publicUrl: 'ws://{node}.example.org' } }, /expected wss:/],
];

for (const [what, values, sentence] of contradictions) {
  test(`refused with what to do: ${what}`, async () => {
    const error = await refusal(values);
    assert.match(error, sentence);
    assert.match(error, /execution error|Error:/);
  });
}

test('values without contradictions are accepted', async () => {
  await render(leastValues);
  await render(secure);
  await render({ ...secure, database: { existingSecret: 'store-app', tls: { enabled: true } } });
  await render({ ...secure, hosts: streams, ingress: { enabled: true, tls: { enabled: true } } });
});

/** Unknown names at every level, which would otherwise be ignored. */
const unknown: readonly (readonly [values: Values, path: string])[] = [
  [{ fanuot: {} }, 'fanuot'],
  [{ fanout: { replica: 3 } }, 'replica'],
  [{ fanout: { config: { flushMS: 5 } } }, 'flushMS'],
  [{ fanout: { config: { kafkaBrokers: ['a:1'] } } }, 'kafkaBrokers'],
  [{ fanout: { config: { tokenSecret: 'a'.repeat(40) } } }, 'tokenSecret'],
  [{ ingest: { config: { flushMs: 5 } } }, 'flushMs'],
  [{ ingest: { publicUrl: 'wss://a' } }, 'publicUrl'],
  [{ config: { flush: 5 } }, 'flush'],
  [{ kafka: { tls: { on: true } } }, 'on'],
  [{ control: { config: { databaseUrl: 'postgres://a/b' } } }, 'databaseUrl'],
  [{ database: { url: 'postgres://a/b' } }, 'url'],
  [{ networkPolicy: { dns: { port: 53 } } }, 'port'],
  [{ defaults: { hpa: { min: 2 } } }, 'min'],
];

for (const [values, name] of unknown) {
  test(`an unknown name is refused: ${JSON.stringify(values)}`, async () => {
    assert.match(
      await refusal({ ...leastValues, ...values }),
      new RegExp(`additional properties '${name}' not allowed`),
    );
  });
}

test('a value that its service refuses is refused before it reaches the cluster', async () => {
  assert.match(await refusal({ ...leastValues, fanout: { config: { flushMs: 5000 } } }), /flushMs.*maximum/s);
  assert.match(await refusal({ ...leastValues, kafka: { brokers: ['kafka'] } }), /brokers\/0/);
});
