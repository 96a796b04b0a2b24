import { kafkaRules, kafkaSettings, natsRules, natsSettings } from '@tailrace/platform/broker-settings';
import { certificateRulesFrom } from '@tailrace/platform/certificate-rules';
import { ServerTlsReader } from '@tailrace/platform/server-tls-reader';
import {
  commonSettings,
  credentialSettings,
  keySourceRule,
  proxySettings,
  revocationSettings,
  tokenSettings,
} from '@tailrace/platform/settings';
import { clockAheadMsMax } from '@tailrace/protocol/source-time';
import { z } from 'zod';
import { commandSettings } from './commands/command-settings.ts';
import { deviceSettings } from './devices/device-settings.ts';
import { mqttRules, mqttSettings } from './mqtt/mqtt-settings.ts';

export const serviceName = 'ingest';

/** Settings that ingest reads in a process of its own and in standalone. */
export const ingestSettings = {
  host: z.string().min(1).default('0.0.0.0').describe('Address to listen on for devices.'),
  port: z.int().min(0).max(65_535).default(8082).describe('Port for devices; 0 takes a free one.'),
  topicPrefix: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,100}$/, 'letters, digits, . _ and - only, at most 100')
    .default('tailrace')
    .describe('Prefix of the names of the topics. The same in fanout.'),
  telemetryPartitions: z
    .int()
    .min(1)
    .max(1_024)
    .default(12)
    .describe(
      'Partitions of the telemetry topic; each is owned by one fanout node. The start fails if the topic has another number.',
    ),
  retentionMs: z
    .int()
    .min(60_000)
    .default(7 * 24 * 3_600_000)
    .describe('How long the log keeps reports: a client that was away for less resumes without a gap.'),
  retentionBytes: z
    .int()
    .min(1_048_576)
    .default(1_073_741_824)
    .describe('Size of one partition; the oldest reports beyond it are deleted, so that the disk does not fill up.'),
  tlsPort: z
    .int()
    .min(0)
    .max(65_535)
    .default(8443)
    .describe('Port with TLS for devices, if tlsCertFile is set; 0 takes a free one.'),
  tlsCertFile: z
    .string()
    .max(4_096)
    .default('')
    .describe(
      'PEM file with the certificate of tlsPort and its intermediates; empty: no port with TLS. Changed files are read within 10 s, without a restart.',
    ),
  tlsKeyFile: z.string().max(4_096).default('').describe('PEM file with its private key.'),
  tlsClientCaFile: z
    .string()
    .max(4_096)
    .default('')
    .describe(
      'PEM file with the authorities of client certificates; empty: clients are not asked for one. A device without one may use a token.',
    ),
  tlsClientCrlFile: z
    .string()
    .max(4_096)
    .default('')
    .describe(
      'PEM file with the revocation lists (CRL) of these authorities, at most 16 MiB; a connection with a revoked certificate is closed after its handshake. With it each authority, also an intermediate one, needs a valid list: without one its certificates are not accepted. Changed files are read within 10 s. Empty: none.',
    ),
  clientCertificateHeader: z
    .string()
    .regex(/^[a-z0-9-]{0,64}$/, 'lower-case letters, digits and - only, at most 64')
    .default('')
    .describe(
      'Header in which trustedProxies pass a verified client certificate, such as x-forwarded-client-cert; ignored from others. They must remove it from requests of clients. Empty: none.',
    ),
  certificateRules: z
    .string()
    .max(65_536)
    .superRefine((text, context) => {
      try {
        certificateRulesFrom(text);
      } catch (error) {
        context.addIssue({ code: 'custom', message: (error as Error).message.replace(/^certificateRules: /, '') });
      }
    })
    .default('')
    .describe(
      'Rules that map client certificates to devices, as a JSON array: [{"field":"CN","pattern":"press([0-9]+)","device":"plant1.line3.press$1"}]. The first match decides; a pattern matches a whole value. Empty: none is accepted.',
    ),
  ...tokenSettings,
  ...proxySettings,
  ...revocationSettings,
  ...credentialSettings,
  connectionsMax: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(10_000)
    .describe(
      'Connections at once, except WebSockets of authenticated devices. A new one is always accepted: beyond the limit it replaces one that has not sent a whole request, or is idle. Keep below the limit of open files.',
    ),
  addressConnectionsMax: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(5_000)
    .describe(
      'Connections of one address (of IPv6 a /64), except trustedProxies; beyond it a new one replaces another of the same address. The default is for a whole site behind one address.',
    ),
  keepAliveMs: z
    .int()
    .min(1_000)
    .max(3_600_000)
    .default(75_000)
    .describe(
      'How long a connection may stay idle between two requests. Above the idle timeout of the load balancer in front (60 s for most), which otherwise sends requests on a connection that is being closed.',
    ),
  unverifiedRequestsMax: z
    .int()
    .min(1)
    .max(100_000)
    .default(512)
    .describe(
      'Requests at once that wait for the keys of their tokens, which are fetched from tokenJwksUrl; beyond it 503. Their bodies are not read meanwhile.',
    ),
  addressUnverifiedRequestsMax: z
    .int()
    .min(1)
    .max(100_000)
    .default(128)
    .describe('The same for one address (of IPv6 a /64); beyond it 429.'),
  bodyBytesMax: z
    .int()
    .min(1_024)
    .max(16_777_216)
    .default(1_048_576)
    .describe("A request's body, also when unpacked; beyond it 413. As much as Kafka takes in one batch."),
  reportsPerRequestMax: z
    .int()
    .min(1)
    .max(100_000)
    .default(10_000)
    .meta({ unit: 'reports' })
    .describe(
      'Reports of one request; beyond it 413. A large request is processed in chunks of 500 reports, so that other senders do not wait for all of it.',
    ),
  bodyDeadlineMs: z
    .int()
    .min(500)
    .max(600_000)
    .default(10_000)
    .describe(
      'From the head of a request to the end of its body; then 408. Enough for 1 MiB over a line of 1 Mbit/s. While the process is near a limit, bodies below 4 KiB a second get 408 after a second.',
    ),
  unfinishedBytesMax: z
    .int()
    .min(1_048_576)
    .default(67_108_864)
    .describe(
      'Incomplete bodies of all requests; beyond it 503. One sender (iss, tenant and sub) may use half of it; beyond that 429.',
    ),
  inFlightRequestsMax: z
    .int()
    .min(1)
    .max(100_000)
    .default(2_048)
    .describe('Requests in progress at once; beyond it 503. A second of a busy node.'),
  inFlightBytesMax: z
    .int()
    .min(1_048_576)
    .default(67_108_864)
    .describe(
      'Bodies whose reports wait for the log, of all requests; beyond it 503. One sender (iss, tenant and sub) may use half of it; beyond that 429. Needs up to three times as much memory.',
    ),
  requestsPerTokenMax: z
    .int()
    .min(1)
    .max(100_000)
    .default(512)
    .meta({ unit: 'requests' })
    .describe(
      'Requests of one sender (iss, tenant and sub of its tokens) in progress at once; beyond it 429. So no sender takes the capacity of the others.',
    ),
  streamsMax: z
    .int()
    .min(1)
    .max(100_000)
    .default(16)
    .describe(
      'Bodies of NDJSON at once that are processed while they are received, some 3 MB each; beyond it 503. Those are bodies above bodyBytesMax or without a length.',
    ),
  streamsPerTokenMax: z
    .int()
    .min(1)
    .max(100_000)
    .default(4)
    .meta({ unit: 'streams' })
    .describe('The same for one sender (iss, tenant and sub of its tokens); beyond it 429.'),
  streamBytesMax: z
    .int()
    .min(1_048_576)
    .max(1_099_511_627_776)
    .default(4_294_967_296)
    .describe(
      'Such a body, also when unpacked; beyond it 413, with the line from which the sender continues. What was received before is in the log.',
    ),
  appendDeadlineMs: z
    .int()
    .min(500)
    .max(120_000)
    .default(5_000)
    .describe(
      'How long the log may take to confirm; then 503. Below what senders wait for an answer (our own client: 15 s).',
    ),
  clockAheadMs: z
    .int()
    .min(1_000)
    .max(clockAheadMsMax)
    .default(60_000)
    .describe(
      'How far ahead of the clock of ingest a time of a device may be; beyond it the report is marked, its readings are uncertain, and it counts by the time of its receipt.',
    ),
  devicesMax: z
    .int()
    .min(1)
    .max(50_000_000)
    .default(500_000)
    .meta({ unit: 'devices' })
    .describe(
      'Distinct device names accepted since the start, 11 to 23 bytes each; beyond it reports of a new device are refused with limit_reached. The default is the limit of a fanout node.',
    ),
  devicesPerTenantMax: z
    .int()
    .min(1)
    .max(50_000_000)
    .default(200_000)
    .meta({ unit: 'devices' })
    .describe('The same for one tenant, the first segment of a path.'),
  retryAfterMs: z
    .int()
    .min(1_000)
    .max(600_000)
    .default(2_000)
    .describe('Retry-After of 429 and 503, rounded up to whole seconds: about the time in which a broker fails over.'),
  deviceReportsPerSecond: z
    .number()
    .min(0)
    .max(1_000_000)
    .default(0)
    .meta({ unit: 'reports' })
    .describe(
      'Reports of one device a second that requests bring; beyond it 429 for the whole request. 0: no limit, because a sender that was without a link sends what it has stored at once. A body that is processed while it is received is slowed down to the rate; it gets 429 if it would wait for more than appendDeadlineMs. Sessions have deviceMessagesPerSecond.',
    ),
  deviceReportsBurst: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(10_000)
    .meta({ unit: 'reports' })
    .describe('The same at once, after a pause. A request with more of one device is accepted after a pause.'),
  ...deviceSettings,
  ...commandSettings,
  ...mqttSettings,
  allowedOrigins: z
    .array(z.string().regex(/^(\*|https?:\/\/[A-Za-z0-9.:[\]-]+)$/, 'https://host:port without a path, or *'))
    .max(64)
    .default([])
    .describe(
      'Origins of web pages that may send reports (CORS) and open WebSockets of devices, as https://host:port; * for all. Empty: no web pages.',
    ),
};

type TlsSettings = Pick<IngestSettings, 'tlsCertFile' | 'tlsKeyFile' | 'tlsClientCaFile' | 'tlsClientCrlFile'> &
  Pick<IngestSettings, 'certificateRules' | 'clientCertificateHeader' | 'trustedProxies'>;

/** Adds the errors of settings for TLS that are of no use without others. */
export function tlsRules(settings: TlsSettings, context: Pick<z.core.$RefinementCtx, 'addIssue'>): void {
  const { tlsCertFile, tlsKeyFile, tlsClientCaFile, tlsClientCrlFile } = settings;
  const { clientCertificateHeader, certificateRules, trustedProxies } = settings;
  const expect = (isValid: boolean, key: keyof TlsSettings, message: string) => {
    if (!isValid) context.addIssue({ code: 'custom', path: [key], message });
  };
  expect((tlsCertFile === '') === (tlsKeyFile === ''), 'tlsKeyFile', 'expected tlsCertFile and tlsKeyFile together');
  expect(tlsClientCaFile === '' || tlsCertFile !== '', 'tlsClientCaFile', 'expected tlsCertFile with it');
  expect(tlsClientCrlFile === '' || tlsClientCaFile !== '', 'tlsClientCrlFile', 'expected tlsClientCaFile with it');
  expect(
    clientCertificateHeader === '' || trustedProxies.length > 0,
    'clientCertificateHeader',
    'expected trustedProxies with it: the header is ignored from others',
  );
  const isAccepted = tlsClientCaFile !== '' || clientCertificateHeader !== '';
  expect(
    (certificateRules !== '') === isAccepted,
    'certificateRules',
    'expected rules if client certificates are accepted (tlsClientCaFile or clientCertificateHeader), and none if not',
  );
}

/** Returns the reader of the files of the ports with TLS, for HTTP and MQTT; undefined without a certificate. */
export function tlsReaderFrom(
  config: Pick<IngestSettings, 'tlsCertFile' | 'tlsKeyFile' | 'tlsClientCaFile' | 'tlsClientCrlFile'>,
): ServerTlsReader | undefined {
  const { tlsCertFile: cert, tlsKeyFile: key, tlsClientCaFile: clientCa, tlsClientCrlFile: clientCrl } = config;
  return cert === '' ? undefined : new ServerTlsReader({ cert, key, clientCa, clientCrl });
}

/** Settings of the ingest service. */
export const configSchema = z
  .strictObject({
    ...commonSettings,
    ...ingestSettings,
    eventLog: z
      .enum(['kafka', 'embedded'])
      .default('kafka')
      .describe("Event log: Kafka, or a log on this machine's disk for a single process."),
    ...kafkaSettings,
    bus: z
      .enum(['nats', 'none'])
      .default('nats')
      .describe(
        'Network between ingest nodes, for sessions of devices: NATS, or none for a single node; not used with the embedded log. The start does not wait for it, and reports are accepted without it.',
      ),
    ...natsSettings,
    dataPath: z.string().min(1).default('data/log').describe('Folder of the embedded log; not used with Kafka.'),
    mqttBridgesFile: z
      .string()
      .max(4_096)
      .default('')
      .describe(
        'JSON file with the MQTT brokers whose messages ingest takes, and what becomes of them; --check-config prints it for sample messages. Empty: none.',
      ),
    drainMs: z
      .int()
      .min(0)
      .max(600_000)
      .default(10_000)
      .describe('How long requests in progress may take when the service stops. Above appendDeadlineMs.'),
    leaveMs: z
      .int()
      .min(0)
      .max(600_000)
      .default(0)
      .describe(
        'Part of drainMs in which requests are still accepted after a stop was requested, until balancers know that the service is not ready. Kubernetes needs one to three seconds; a client that connects to a stopped pod gets no answer.',
      ),
  })
  .refine(...keySourceRule)
  .refine(({ leaveMs, drainMs }) => leaveMs <= drainMs, {
    path: ['leaveMs'],
    error: 'expected at most drainMs, of which it is a part',
  })
  .superRefine(tlsRules)
  .superRefine(mqttRules)
  .superRefine(kafkaRules)
  .superRefine(natsRules);

export type IngestConfig = z.output<typeof configSchema>;

/** The settings that `createIngest` reads. */
export type IngestSettings = z.output<z.ZodObject<typeof ingestSettings>>;
