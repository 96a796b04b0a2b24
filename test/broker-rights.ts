import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';

/**
 * The rights of the services at the brokers: secure.itest.ts runs them with these rights only.
 */

const deploy = resolve(import.meta.dirname, '../deploy');

/**
 * https://kafka.apache.org/documentation/#operations_resources_and_protocols. Read and Write include Describe.
 */
export type KafkaRight = readonly [
  kind: 'topic' | 'group',
  name: string,
  ...operations: ('Read' | 'Write' | 'Create')[],
];

interface KafkaUser {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly authorization: {
      readonly acls: readonly {
        readonly resource: { readonly type: 'topic' | 'group'; readonly name: string };
        readonly operations: readonly ('Read' | 'Write' | 'Create')[];
      }[];
    };
  };
}

/** Returns the rights of a service's user in deploy/strimzi. */
export async function kafkaRightsOf(service: 'ingest' | 'fanout'): Promise<readonly KafkaRight[]> {
  const file = join(deploy, 'strimzi/users.yaml');
  const users = parseAllDocuments(await readFile(file, 'utf8')).map((document) => document.toJS() as KafkaUser);
  const user = users.find(({ metadata }) => metadata.name === `tailrace-${service}`)!;
  return user.spec.authorization.acls.map(({ resource, operations }) => [resource.type, resource.name, ...operations]);
}

interface NatsValues {
  readonly config: {
    readonly merge: {
      readonly authorization: {
        readonly users: readonly {
          readonly permissions: Readonly<Record<'publish' | 'subscribe', readonly string[]>>;
        }[];
      };
    };
  };
}

/**
 * Returns the rights in deploy/nats
 * (https://docs.nats.io/running-a-nats-service/configuration/securing_nats/authorization).
 */
export async function natsRights(): Promise<Readonly<Record<'publish' | 'subscribe', readonly string[]>>> {
  const { config } = parse(await readFile(join(deploy, 'nats/values.yaml'), 'utf8')) as NatsValues;
  return config.merge.authorization.users[0]!.permissions;
}
