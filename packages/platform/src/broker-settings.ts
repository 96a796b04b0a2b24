import { z } from 'zod';

/** `z.strictObject({ …, ...kafkaSettings }).superRefine(kafkaRules)`: how a service reaches Kafka. */
export const kafkaSettings = {
  kafkaBrokers: z
    .array(z.string().min(1))
    .min(1)
    .max(64)
    .default(['localhost:9092'])
    .describe('Kafka brokers to begin with, host:port. They name the others.'),
  kafkaTls: z
    .boolean()
    .default(false)
    .describe(
      'Speak TLS with the brokers. Off suits a network that nobody else is in; a listener without TLS takes no TLS, and the other way round.',
    ),
  kafkaTlsCaFile: pathSetting(
    "PEM file of the authorities that the brokers' certificates are checked by (Strimzi: ca.crt of <cluster>-cluster-ca-cert); empty: the public ones. Read anew at each connect.",
  ),
  kafkaTlsCertFile: pathSetting(
    'PEM file of our own certificate, where the brokers ask for one (Strimzi: user.crt of a KafkaUser of type tls); empty: none. Read anew at each connect, so a renewed one is taken.',
  ),
  kafkaTlsKeyFile: pathSetting('PEM file of the private key of kafkaTlsCertFile. Read anew at each connect.'),
  kafkaSaslMechanism: z
    .enum(['', 'plain', 'scram-sha-256', 'scram-sha-512'])
    .default('')
    .describe(
      'How the service logs in to the brokers; empty: it does not. Strimzi has scram-sha-512. plain sends the password itself: only with kafkaTls.',
    ),
  kafkaSaslUsername: nameSetting('User that the brokers know the service by (Strimzi: the name of the KafkaUser).'),
  kafkaSaslPassword: passwordSetting(
    'Password of kafkaSaslUsername. A changed one is taken by a restart, or connections that are made anew are refused.',
  ),
  startDeadlineMs: z
    .int()
    .min(500)
    .max(25_000)
    .default(10_000)
    .describe('How long the start waits for Kafka, which may itself be starting; then the process ends.'),
};

/** `z.strictObject({ …, ...natsSettings }).superRefine(natsRules)`: how a service reaches NATS. */
export const natsSettings = {
  natsServers: z
    .array(z.string().min(1))
    .min(1)
    .max(64)
    .default(['nats://localhost:4222'])
    .describe('NATS servers, nats://host:port; user and password have settings of their own.'),
  natsCredentialsFile: pathSetting(
    'File that the service logs in to NATS with: as nsc writes it (.creds: JWT and seed), or an nkey seed (SU…) alone; empty: none. Read anew at each connect.',
  ),
  natsUsername: nameSetting('User that NATS knows the service by; empty: none, or by natsCredentialsFile.'),
  natsPassword: passwordSetting(
    'Password of natsUsername. Sent as it is: with natsTls where others are in the network.',
  ),
  natsTls: z
    .boolean()
    .default(false)
    .describe(
      'Insist on TLS: a server without it is refused. Off: TLS where the server offers it, checked by public authorities.',
    ),
  natsTlsCaFile: pathSetting(
    "PEM file of the authorities that the servers' certificates are checked by; empty: the public ones. Read anew at each connect.",
  ),
  natsTlsCertFile: pathSetting(
    'PEM file of our own certificate, where the servers ask for one (verify: true); empty: none. Read anew at each connect.',
  ),
  natsTlsKeyFile: pathSetting('PEM file of the private key of natsTlsCertFile. Read anew at each connect.'),
};

export type KafkaAccessSettings = Readonly<z.output<z.ZodObject<typeof kafkaSettings>>>;
export type NatsAccessSettings = Readonly<z.output<z.ZodObject<typeof natsSettings>>>;

/** Files of PEM texts; an empty path is not set. */
export interface TlsPaths {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Where a rule says what is wrong. */
type Faults = Pick<z.core.$RefinementCtx, 'addIssue'>;

/** What contradicts itself in the settings of Kafka, one sentence each. */
export function kafkaRules(settings: KafkaAccessSettings, faults: Faults): void {
  const { kafkaSaslMechanism: mechanism, kafkaSaslUsername: user, kafkaSaslPassword: password } = settings;
  tlsRules('kafka', settings.kafkaTls, kafkaTlsPaths(settings), faults);
  if (mechanism === '') {
    const unset = 'is set, and kafkaSaslMechanism is not; name the mechanism, such as scram-sha-512';
    if (user !== '') fault(faults, 'kafkaSaslUsername', unset);
    if (password !== '') fault(faults, 'kafkaSaslPassword', unset);
    return;
  }
  const needs = (what: string) => `needs ${what} as well; set it, or leave the mechanism empty`;
  if (user === '') fault(faults, 'kafkaSaslMechanism', needs('kafkaSaslUsername'));
  if (password === '') fault(faults, 'kafkaSaslMechanism', needs('kafkaSaslPassword'));
}

/** What contradicts itself in the settings of NATS, one sentence each. */
export function natsRules(settings: NatsAccessSettings, faults: Faults): void {
  const { natsServers, natsTls, natsUsername: user, natsPassword: password, natsCredentialsFile: file } = settings;
  tlsRules('nats', natsTls, natsTlsPaths(settings), faults);
  if (!natsTls && natsServers.some((server) => server.startsWith('tls://'))) {
    fault(faults, 'natsServers', 'says tls:// while natsTls is off; set natsTls to true, or write nats://');
  }
  if (file !== '' && (user !== '' || password !== '')) {
    const both = 'is set, and natsUsername or natsPassword as well; NATS takes one login, leave the other empty';
    fault(faults, 'natsCredentialsFile', both);
    return;
  }
  if (user !== '' && password === '') fault(faults, 'natsUsername', 'needs natsPassword as well');
  if (user === '' && password !== '')
    fault(faults, 'natsPassword', 'is set without natsUsername; set the user as well');
}

export function kafkaTlsPaths(settings: KafkaAccessSettings): TlsPaths {
  return { ca: settings.kafkaTlsCaFile, cert: settings.kafkaTlsCertFile, key: settings.kafkaTlsKeyFile };
}

export function natsTlsPaths(settings: NatsAccessSettings): TlsPaths {
  return { ca: settings.natsTlsCaFile, cert: settings.natsTlsCertFile, key: settings.natsTlsKeyFile };
}

function tlsRules(broker: 'kafka' | 'nats', isOn: boolean, { ca, cert, key }: TlsPaths, faults: Faults): void {
  const [tls, caFile, certFile, keyFile] = ['Tls', 'TlsCaFile', 'TlsCertFile', 'TlsKeyFile'].map(
    (what) => `${broker}${what}`,
  ) as [string, string, string, string];
  if (!isOn) {
    const unused = `is set while ${tls} is off; set ${tls} to true, or leave the file out`;
    if (ca !== '') fault(faults, caFile, unused);
    if (cert !== '') fault(faults, certFile, unused);
    if (key !== '') fault(faults, keyFile, unused);
    return;
  }
  if (cert !== '' && key === '') fault(faults, certFile, `needs its private key as well; set ${keyFile}`);
  if (cert === '' && key !== '') fault(faults, keyFile, `is set without ${certFile}; a key needs its certificate`);
}

function fault(faults: Faults, key: string, message: string): void {
  faults.addIssue({ code: 'custom', path: [key], message });
}

function pathSetting(reason: string) {
  return z.string().max(4_096).default('').describe(reason);
}

function nameSetting(reason: string) {
  return z.string().max(256).default('').describe(reason);
}

function passwordSetting(reason: string) {
  return z
    .string()
    .max(1_024)
    .regex(/^[^\r\n]*$/, 'has a line break in it; a secret is often made with one at its end, by echo without -n')
    .default('')
    .meta({ secret: true })
    .describe(reason);
}
