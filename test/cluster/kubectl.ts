import { execFile, spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { TailraceError } from '@tailrace/protocol/error';

const outputBytesMax = 64 * 1024 * 1024;
const deadlineMsDefault = 60_000;
/** Characters of a command line in an error; five times as many of its output. */
const commandLengthMax = 200;

export interface CommandOptions {
  readonly input?: string;
  /** Then it is killed. Default: one minute. */
  readonly deadlineMs?: number;
  /** Overrides the environment of this process. */
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Runs a program. Resolves with its output. Rejects with `internal` and the last lines of its output where it does not
 * exit with 0.
 */
export function command(program: string, args: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { input, deadlineMs = deadlineMsDefault, env } = options;
  return new Promise((resolve, reject) => {
    const limits = { timeout: deadlineMs, killSignal: 'SIGKILL' as const, maxBuffer: outputBytesMax };
    const child = execFile(program, args, { ...limits, env: { ...process.env, ...env } }, (error, stdout, stderr) => {
      if (error === null) {
        resolve(stdout);
        return;
      }
      // The error of Node.js contains the whole output and the whole command line.
      const words = stderr.trim() || stdout.trim() || error.message;
      const what = `${program} ${args.join(' ').slice(0, commandLengthMax)}`;
      reject(new TailraceError('internal', `${what}: ${words.slice(-5 * commandLengthMax)}`));
    });
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input ?? '');
  });
}

export interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly deletionTimestamp?: string;
    readonly labels: Record<string, string>;
  };
  readonly spec: { readonly nodeName?: string };
  readonly status: {
    readonly phase: string;
    readonly podIP?: string;
    readonly hostIP?: string;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly containerStatuses?: readonly { readonly restartCount: number; readonly containerID?: string }[];
  };
}

export function isReady(pod: Pod): boolean {
  return (
    pod.metadata.deletionTimestamp === undefined &&
    (pod.status.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True')
  );
}

/** kubectl in one namespace of the cluster that KUBECONFIG names. */
export class Kubectl {
  readonly namespace: string;

  constructor(namespace: string) {
    this.namespace = namespace;
  }

  run(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    return command('kubectl', ['-n', this.namespace, ...args], options);
  }

  async json<T>(args: readonly string[]): Promise<T> {
    return JSON.parse(await this.run([...args, '-o', 'json'])) as T;
  }

  async pods(selector: string): Promise<readonly Pod[]> {
    const { items } = await this.json<{ items: Pod[] }>(['get', 'pods', '-l', selector]);
    return items.toSorted((a, b) => a.metadata.name.localeCompare(b.metadata.name));
  }

  pod(name: string): Promise<Pod> {
    return this.json<Pod>(['get', 'pod', name]);
  }

  async apply(...objects: readonly object[]): Promise<void> {
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    await this.run(['apply', '-f', '-'], { input: JSON.stringify(list) });
  }

  /** Waits until the rollout of a workload is complete. */
  async rolledOut(workload: string, deadlineMs: number): Promise<void> {
    const timeout = `--timeout=${Math.ceil(deadlineMs / 1000)}s`;
    await this.run(['rollout', 'status', workload, timeout], { deadlineMs: deadlineMs + 5_000 });
  }

  /** Runs Node.js code in a pod. Resolves with its output. */
  node(pod: string, code: string, args: readonly string[] = [], deadlineMs = deadlineMsDefault): Promise<string> {
    return this.run(['exec', pod, '--', 'node', '-e', code, ...args], { deadlineMs });
  }

  /** Sends a dry-run eviction of a pod to the API server. Resolves with whether it is allowed, and the response. */
  async tryEviction(pod: string): Promise<{ allowed: boolean; words: string }> {
    const eviction = {
      apiVersion: 'policy/v1',
      kind: 'Eviction',
      metadata: { name: pod, namespace: this.namespace },
      deleteOptions: { dryRun: ['All'] },
    };
    const path = `/api/v1/namespaces/${this.namespace}/pods/${pod}/eviction`;
    const child = spawn('kubectl', ['create', '--raw', path, '-f', '-'], { stdio: ['pipe', 'pipe', 'pipe'] });
    child.stdin.end(JSON.stringify(eviction));
    const [out, error, code] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      new Promise<number | null>((resolve) => child.on('close', resolve)),
    ]);
    return { allowed: code === 0, words: (code === 0 ? out : error).trim() };
  }
}
