import { z } from 'zod';

/** How a service connects to Kafka, for `z.strictObject({ …, ...kafkaSettings }).superRefine(kafkaRules)`. */
export const kafkaSettings = {
  kafkaBrokers: z
    .array(z.string().min(1))
    .min(1)
    .max(64)
    .default(['localhost:9092'])
    .describe('Kafka bootstrap brokers, host:port.'),
  kafkaTls: z
    .boolean()
    .default(false)
    .describe('Use TLS with the brokers. Off is for a private network; it must match the listener.'),
  kafkaTlsCaFile: pathSetting(
    'PEM file of the certificate authorities of the brokers (Strimzi: ca.crt of <cluster>-cluster-ca-cert); empty: the public ones. Read at each connect.',
  ),
  kafkaTlsCertFile: pathSetting(
    'PEM file of the client certificate, if the brokers require one (Strimzi: user.crt of a KafkaUser of type tls); empty: none. Read at each connect, so that a renewed one takes effect.',
  ),
  kafkaTlsKeyFile: pathSetting('PEM file of the private key of kafkaTlsCertFile. Read at each connect.'),
  kafkaSaslMechanism: z
    .enum(['', 'plain', 'scram-sha-256', 'scram-sha-512'])
    .default('')
    .describe(
      'SASL mechanism of the authentication with the brokers; empty: none. Strimzi has scram-sha-512. plain sends the password itself: only with kafkaTls.',
    ),
  kafkaSaslUsername: nameSetting('User of the SASL authentication (Strimzi: the name of the KafkaUser).'),
  kafkaSaslPassword: passwordSetting(
    'Password of kafkaSaslUsername. A changed password needs a restart: until then new connections are refused.',
  ),
  startDeadlineMs: z
    .int()
    .min(500)
    .max(25_000)
    .default(10_000)
    .describe('How long the start waits for Kafka, which may itself be starting; then the process exits.'),
};

/** How a service connects to NATS, for `z.strictObject({ …, ...natsSettings }).superRefine(natsRules)`. */
export const natsSettings = {
  natsServers: z
    .array(z.string().min(1))
    .min(1)
    .max(64)
    .default(['nats://localhost:4222'])
    .describe('NATS servers, nats://host:port; without user and password, which have their own settings.'),
  natsCredentialsFile: pathSetting(
    'NATS credentials file: as nsc writes it (.creds: JWT and seed), or an nkey seed (SU…) alone; empty: none. Read at each connect.',
  ),
  natsUsername: nameSetting('User of the authentication with NATS; empty: none, or natsCredentialsFile.'),
  natsPassword: passwordSetting(
    'Password of natsUsername. Sent in clear text: use natsTls except in a private network.',
  ),
  natsTls: z
    .boolean()
    .default(false)
    .describe('Require TLS. Off: TLS if the server offers it, with public certificate authorities.'),
  natsTlsCaFile: pathSetting(
    'PEM file of the certificate authorities of the servers; empty: the public ones. Read at each connect.',
  ),
  natsTlsCertFile: pathSetting(
    'PEM file of the client certificate, if the servers require one (verify: true); empty: none. Read at each connect.',
  ),
  natsTlsKeyFile: pathSetting('PEM file of the private key of natsTlsCertFile. Read at each connect.'),
};

export type KafkaAccessSettings = Readonly<z.output<z.ZodObject<typeof kafkaSettings>>>;
export type NatsAccessSettings = Readonly<z.output<z.ZodObject<typeof natsSettings>>>;

/** Paths of PEM files; empty: not set. */
export interface TlsPaths {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Where a rule adds its errors. */
export type RuleContext = Pick<z.core.$RefinementCtx, 'addIssue'>;

/** Adds an error for each contradiction in the settings of Kafka. */
export function kafkaRules(settings: KafkaAccessSettings, context: RuleContext): void {
  const { kafkaSaslMechanism: mechanism, kafkaSaslUsername: user, kafkaSaslPassword: password } = settings;
  tlsRules('kafka', settings.kafkaTls, kafkaTlsPaths(settings), context);
  if (mechanism === '') {
    const unset = 'is set, and kafkaSaslMechanism is not; name the mechanism, such as scram-sha-512';
    if (user !== '') addError(context, 'kafkaSaslUsername', unset);
    if (password !== '') addError(context, 'kafkaSaslPassword', unset);
    return;
  }
  const needs = (what: string) => `needs ${what} as well; set it, or leave the mechanism empty`;
  if (user === '') addError(context, 'kafkaSaslMechanism', needs('kafkaSaslUsername'));
  if (password === '') addError(context, 'kafkaSaslMechanism', needs('kafkaSaslPassword'));
}

/** Adds an error for each contradiction in the settings of NATS. */
export function natsRules(settings: NatsAccessSettings, context: RuleContext): void {
  const { natsServers, natsTls, natsUsername: user, natsPassword: password, natsCredentialsFile: file } = settings;
  tlsRules('nats', natsTls, natsTlsPaths(settings), context);
  if (!natsTls && natsServers.some((server) => server.startsWith('tls://'))) {
    addError(context, 'natsServers', 'has tls:// while natsTls is off; set natsTls to true, or use nats://');
  }
  if (file !== '' && (user !== '' || password !== '')) {
    const both = 'is set, and natsUsername or natsPassword as well; set only one method of authentication';
    addError(context, 'natsCredentialsFile', both);
    return;
  }
  if (user !== '' && password === '') addError(context, 'natsUsername', 'needs natsPassword as well');
  if (user === '' && password !== '')
    addError(context, 'natsPassword', 'is set without natsUsername; set the user as well');
}

export function kafkaTlsPaths(settings: KafkaAccessSettings): TlsPaths {
  return { ca: settings.kafkaTlsCaFile, cert: settings.kafkaTlsCertFile, key: settings.kafkaTlsKeyFile };
}

export function natsTlsPaths(settings: NatsAccessSettings): TlsPaths {
  return { ca: settings.natsTlsCaFile, cert: settings.natsTlsCertFile, key: settings.natsTlsKeyFile };
}

/** Adds an error for each contradiction in the settings of TLS, whose names start with `broker`. */
export function tlsRules(
  broker: 'kafka' | 'nats' | 'database',
  isOn: boolean,
  { ca, cert, key }: TlsPaths,
  context: RuleContext,
): void {
  const [tls, caFile, certFile, keyFile] = ['Tls', 'TlsCaFile', 'TlsCertFile', 'TlsKeyFile'].map(
    (what) => `${broker}${what}`,
  ) as [string, string, string, string];
  if (!isOn) {
    const unused = `is set while ${tls} is off; set ${tls} to true, or leave the file out`;
    if (ca !== '') addError(context, caFile, unused);
    if (cert !== '') addError(context, certFile, unused);
    if (key !== '') addError(context, keyFile, unused);
    return;
  }
  if (cert !== '' && key === '') addError(context, certFile, `needs its private key as well; set ${keyFile}`);
  if (cert === '' && key !== '') addError(context, keyFile, `is set without ${certFile}; a key needs its certificate`);
}

export function addError(context: RuleContext, key: string, message: string): void {
  context.addIssue({ code: 'custom', path: [key], message });
}

export function pathSetting(reason: string) {
  return z.string().max(4_096).default('').describe(reason);
}

function nameSetting(reason: string) {
  return z.string().max(256).default('').describe(reason);
}

export function passwordSetting(reason: string) {
  return z
    .string()
    .max(1_024)
    .regex(/^[^\r\n]*$/, 'has a line break in it; echo without -n adds one at the end of a secret')
    .default('')
    .meta({ secret: true })
    .describe(reason);
}
