import { z } from 'zod';

const key = z.string();

const tls = z.strictObject({
  enabled: z.boolean(),
  caSecret: z.string(),
  caKey: key,
  certSecret: z.string(),
  certKey: key,
  keyKey: key,
});

/** Addresses and logins of brokers and of the database. Secrets are references. */
export const brokerShapes = {
  kafka: z.strictObject({
    brokers: z.array(z.string().regex(/^[^:/]+:[0-9]+$/, 'host:port')),
    tls,
    sasl: z.strictObject({
      mechanism: z.enum(['', 'plain', 'scram-sha-256', 'scram-sha-512']),
      username: z.string(),
      existingSecret: z.string(),
      usernameKey: key,
      passwordKey: key,
    }),
  }),
  nats: z.strictObject({
    servers: z.array(z.string().regex(/^(nats|tls|wss?):\/\/[^/]+$/, 'nats://host:port')),
    tls,
    auth: z.strictObject({
      existingSecret: z.string(),
      usernameKey: key,
      passwordKey: key,
      credentialsKey: key,
    }),
  }),
  database: z.strictObject({
    existingSecret: z.string(),
    urlKey: key.min(1),
    passwordKey: key,
    port: z.int().min(1).max(65_535),
    tls,
    migrationJob: z.strictObject({
      enabled: z.boolean(),
      deadlineSeconds: z.int().min(10).max(86_400),
      keepSeconds: z.int().min(0).max(604_800),
    }),
  }),
  auth: z.strictObject({
    existingSecret: z.string(),
    keys: z.strictObject({ tokenSecret: key, tokenPublicKeys: key }),
    tokenSecret: z.string(),
  }),
};
