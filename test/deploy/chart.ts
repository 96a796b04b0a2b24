import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { findTool } from '@tailrace/testkit/tool';
import { parseAllDocuments } from 'yaml';

export const root = join(import.meta.dirname, '..', '..');
export const chartFolder = join(root, 'helm', 'tailrace');

/** Values files of the chart, without the defaults: each is an installation that must work. */
export const valuesFiles: readonly string[] = globSync('values-*.yaml', { cwd: chartFolder }).sort();

export type Values = Readonly<Record<string, unknown>>;

/** A Kubernetes object. Tests read the other fields by `at`. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Values; readonly annotations?: Values };
  readonly [key: string]: unknown;
}

export interface Rendered {
  readonly text: string;
  readonly objects: readonly KubernetesObject[];
  /** The one object of that kind and name; fails where there is none. */
  one(kind: string, name: string): KubernetesObject;
  all(kind: string): readonly KubernetesObject[];
}

let helmPath: Promise<string> | undefined;
/** Returns the path of Helm, searched once per process. */
export function helm(): Promise<string> {
  helmPath ??= findTool('helm');
  return helmPath;
}

/** The smallest valid values with fanout and ingest. */
export const leastValues: Values = {
  kafka: { brokers: ['kafka:9092'] },
  nats: { servers: ['nats://nats:4222'] },
  auth: { existingSecret: 'tailrace-keys' },
};

/** Renders the chart with a values file, with values, or with both. Rejects with the error of Helm. */
export async function render(values: Values = {}, file?: string, release = 'tailrace'): Promise<Rendered> {
  const files = file === undefined ? [] : ['--values', join(chartFolder, file)];
  const text = await helmOutput(['template', release, chartFolder, ...files, '--values', '-'], JSON.stringify(values));
  const documents = parseAllDocuments(text).map((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    return document.toJS() as KubernetesObject | null;
  });
  const objects = documents.filter((object) => object !== null);
  return {
    text,
    objects,
    all: (kind) => objects.filter((object) => object.kind === kind),
    one(kind, name) {
      const found = objects.filter((object) => object.kind === kind && object.metadata.name === name);
      if (found.length === 1) return found[0]!;
      const names = objects.map((object) => `${object.kind} ${object.metadata.name}`).join(', ');
      throw new Error(`${kind} ${name}: expected one object, got ${found.length} of ${names}`);
    },
  };
}

/** Returns the error of the chart for contradictory values. */
export async function refusal(values: Values, file?: string): Promise<string> {
  try {
    await render(values, file);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error(`the chart accepted ${JSON.stringify(values)}`);
}

export async function helmOutput(args: readonly string[], input = ''): Promise<string> {
  const program = await helm();
  return new Promise((resolve, reject) => {
    // Without a cluster, also where this machine has one.
    const env = { ...process.env, KUBECONFIG: '/dev/null' };
    const child = execFile(program, args, { env, timeout: 60_000, maxBuffer: 20_000_000 }, (error, stdout, stderr) => {
      if (error) reject(new Error(stderr.trim() || error.message));
      else resolve(stdout);
    });
    child.stdin?.end(input);
  });
}

/** Returns a value by its path: `at(pod, 'spec.containers.0.env')`; undefined where there is none. */
export function at(object: unknown, path: string): unknown {
  let value: unknown = object;
  for (const step of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return value;
}

export const podKinds: readonly string[] = ['StatefulSet', 'Deployment', 'Job', 'Pod'];

/** Returns the specification of each pod, with the name of its workload. */
export function podSpecs({ objects }: Pick<Rendered, 'objects'>): readonly { name: string; spec: Values }[] {
  return objects
    .filter(({ kind }) => podKinds.includes(kind))
    .map((object) => ({
      name: `${object.kind} ${object.metadata.name}`,
      spec: (object.kind === 'Pod' ? object['spec'] : at(object, 'spec.template.spec')) as Values,
    }));
}

/** Returns the containers of a pod, including its init containers. */
export function containers(spec: Values): readonly Values[] {
  return [...((spec['initContainers'] as Values[] | undefined) ?? []), ...(spec['containers'] as Values[])];
}
