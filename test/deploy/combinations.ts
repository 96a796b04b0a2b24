import { leastValues, type Values } from './chart.ts';

const everyHost = {
  streams: 'streams.example.org',
  ingest: 'ingest.example.org',
  control: 'control.example.org',
  dashboard: 'plant.example.org',
  node: '{node}.streams.example.org',
};

const database = { existingSecret: 'store-app' };

const brokersByTls = {
  kafka: {
    brokers: ['events-kafka-bootstrap.kafka.svc:9093'],
    tls: { enabled: true, caSecret: 'events-cluster-ca-cert', certSecret: 'tailrace' },
    sasl: { mechanism: 'scram-sha-512', username: 'tailrace', existingSecret: 'tailrace' },
  },
  nats: {
    servers: ['nats://nats.nats.svc:4222'],
    tls: { enabled: true, caSecret: 'nats-ca' },
    auth: { existingSecret: 'nats-login', passwordKey: 'password' },
  },
};

/**
 * Installations beside the values files, which together have every template in them: each is rendered and held to the
 * schemas.
 */
export const combinations: Readonly<Record<string, Values>> = {
  least: leastValues,
  'brokers by TLS and login': { ...leastValues, ...brokersByTls },
  'control with a database': {
    ...leastValues,
    database,
    hosts: everyHost,
    ingress: { enabled: true },
    networkPolicy: { notificationsTo: [{ ipBlock: { cidr: '192.0.2.0/24' } }], notificationPorts: [443, 587] },
  },
  'control with a database by TLS, migrated by itself': {
    ...leastValues,
    ...brokersByTls,
    database: {
      ...{ ...database, urlKey: 'url', passwordKey: 'password', port: 6432 },
      tls: { enabled: true, caSecret: 'store-ca', certSecret: 'store-client' },
      migrationJob: { enabled: false },
    },
    control: { hpa: { enabled: true } },
  },
  'ingress with an address for each node': {
    ...leastValues,
    hosts: everyHost,
    ingress: { enabled: true, className: 'nginx', tls: { enabled: true, secretName: 'wildcard' } },
  },
  'routes of the Gateway API': {
    ...leastValues,
    database,
    hosts: everyHost,
    httpRoute: { enabled: true, parentRefs: [{ name: 'public', namespace: 'gateways' }], tls: true },
  },
  'certificates of devices': {
    ...leastValues,
    hosts: everyHost,
    ingress: { enabled: true },
    ingest: {
      tls: { enabled: true, certSecret: 'ingest-tls', clientCaSecret: 'device-ca', clientCrlSecret: 'device-crl' },
      config: {
        certificateRules: '[{"field":"CN","pattern":"press([0-9]+)","device":"plant1.press$1"}]',
        trustedProxies: ['10.0.0.0/8'],
        clientCertificateHeader: 'x-forwarded-client-cert',
      },
    },
  },
  'devices by MQTT': {
    ...leastValues,
    hosts: everyHost,
    ingress: { enabled: true },
    ingest: {
      tls: { enabled: true, certSecret: 'ingest-tls' },
      mqtt: { enabled: true, service: { type: 'LoadBalancer' } },
    },
  },
  'devices by MQTT without TLS': { ...leastValues, ingest: { mqtt: { enabled: true } } },
  'autoscaling on CPU and connections': {
    ...leastValues,
    hosts: everyHost,
    ingress: { enabled: true },
    fanout: { hpa: { enabled: true, maxReplicas: 5, podMetrics: { tailrace_fanout_connections: 10000 } } },
    ingest: { hpa: { enabled: true } },
  },
  'autoscaling on lag': { ...leastValues, ...brokersByTls, fanout: { keda: { enabled: true, maxReplicas: 6 } } },
  'everything observed': {
    ...leastValues,
    database,
    metrics: {
      podMonitor: { enabled: true, labels: { release: 'prometheus' } },
      serviceMonitor: { enabled: true },
      prometheusRule: { enabled: true, labels: { release: 'prometheus' } },
    },
    dashboards: { enabled: true },
    config: {
      tracingUrl: 'http://collector.observability:4318/v1/traces',
      tokenJwksUrl: 'https://issuer.example/jwks.json',
    },
  },
  'standalone by names of its own': {
    standalone: { enabled: true, persistence: { enabled: false } },
    hosts: { streams: 'streams.example.org', ingest: 'ingest.example.org', dashboard: 'plant.example.org' },
    httpRoute: { enabled: true, parentRefs: [{ name: 'public' }], tls: true },
  },
  'a pod with everything of its own': {
    ...leastValues,
    networkPolicy: { publicFrom: [{ podSelector: { matchLabels: { app: 'gateway' } } }], extraEgress: [{}] },
    image: { registry: 'registry.example.org', tag: '1.2.3', pullSecrets: ['pull'] },
    simulator: { enabled: true, token: { secretKey: 'simulator-token' } },
    fanout: {
      extraEnv: [{ name: 'NODE_OPTIONS', value: '--max-old-space-size=600' }],
      extraVolumes: [{ name: 'more', emptyDir: {} }],
      extraVolumeMounts: [{ name: 'more', mountPath: '/more' }],
      nodeSelector: { pool: 'streams' },
      tolerations: [{ key: 'streams', operator: 'Exists' }],
      affinity: { nodeAffinity: {} },
      podAnnotations: { a: 'b' },
      podLabels: { c: 'd' },
      priorityClassName: 'high',
      service: { type: 'LoadBalancer', annotations: { e: 'f' } },
    },
  },
};
