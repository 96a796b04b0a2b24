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

/** What is read of an object of Kubernetes: tests look into the rest by `at`. */
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
/** The Helm of this machine, looked for once a process. */
export function helm(): Promise<string> {
  helmPath ??= findTool('helm');
  return helmPath;
}

/** Enough for fanout and ingest to be installed. */
export const leastValues: Values = {
  kafka: { brokers: ['kafka:9092'] },
  nats: { servers: ['nats://nats:4222'] },
  auth: { existingSecret: 'tailrace-keys' },
};

/** The chart with a values file, with values on top, or with both. Rejects with what Helm says. */
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
      throw new Error(`${found.length} objects are ${kind} ${name}; there are ${names}`);
    },
  };
}

/** What the chart says to values that contradict: the sentence alone. */
export async function refusal(values: Values, file?: string): Promise<string> {
  try {
    await render(values, file);
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error(`the chart took ${JSON.stringify(values)}`);
}

export async function helmOutput(args: readonly string[], input = ''): Promise<string> {
  const program = await helm();
  return new Promise((resolve, reject) => {
    // No cluster is asked, whatever this machine has.
    const env = { ...process.env, KUBECONFIG: '/dev/null' };
    const child = execFile(program, args, { env, timeout: 60_000, maxBuffer: 20_000_000 }, (error, stdout, stderr) => {
      if (error) reject(new Error(stderr.trim() || error.message));
      else resolve(stdout);
    });
    child.stdin?.end(input);
  });
}

/** A value inside, by its path: `at(pod, 'spec.containers.0.env')`. Undefined where the way ends. */
export function at(object: unknown, path: string): unknown {
  let value: unknown = object;
  for (const step of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<string, unknown>)[step];
  }
  return value;
}

export const podKinds: readonly string[] = ['StatefulSet', 'Deployment', 'Pod'];

/** The specification of each pod that there is, with the name of what makes it. */
export function podSpecs({ objects }: Pick<Rendered, 'objects'>): readonly { name: string; spec: Values }[] {
  return objects
    .filter(({ kind }) => podKinds.includes(kind))
    .map((object) => ({
      name: `${object.kind} ${object.metadata.name}`,
      spec: (object.kind === 'Pod' ? object['spec'] : at(object, 'spec.template.spec')) as Values,
    }));
}

/** Containers of a pod, those that run first among them. */
export function containers(spec: Values): readonly Values[] {
  return [...((spec['initContainers'] as Values[] | undefined) ?? []), ...(spec['containers'] as Values[])];
}
