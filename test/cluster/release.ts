import { resolve } from 'node:path';
import { findTool } from '@tailrace/testkit/tool';
import { command } from './kubectl.ts';

const chart = resolve(import.meta.dirname, '../../helm/tailrace');

export interface ReleaseOptions {
  readonly name: string;
  readonly namespace: string;
  /** A values file of the chart. */
  readonly values: string;
  /** `key=value` for `--set`, in every revision. */
  readonly settings: readonly string[];
}

/** One Helm release. */
export class Release {
  readonly name: string;
  readonly #helm: string;
  readonly #options: ReleaseOptions;

  private constructor(helm: string, options: ReleaseOptions) {
    this.#helm = helm;
    this.#options = options;
    this.name = options.name;
  }

  static async create(options: ReleaseOptions): Promise<Release> {
    return new Release(await findTool('helm'), options);
  }

  /** Installs or upgrades with further settings for this revision, and waits until it is ready. */
  async upgrade(settings: readonly string[], deadlineMs: number, flags: readonly string[] = []): Promise<void> {
    const { values, settings: always } = this.#options;
    const sets = [...always, ...settings].flatMap((setting) => ['--set', setting]);
    await this.#run(
      ['upgrade', '--install', this.name, chart, '-f', `${chart}/${values}`, ...sets, ...waiting(deadlineMs), ...flags],
      deadlineMs,
    );
  }

  async rollback(deadlineMs: number): Promise<void> {
    await this.#run(['rollback', this.name, ...waiting(deadlineMs)], deadlineMs);
  }

  /** Without the pod's log: Helm removes the pod of a passed test at once, so that an uninstall leaves nothing. */
  test(deadlineMs: number): Promise<string> {
    return this.#run(['test', this.name, '--timeout', seconds(deadlineMs)], deadlineMs);
  }

  async uninstall(deadlineMs: number): Promise<void> {
    await this.#run(['uninstall', this.name, ...waiting(deadlineMs)], deadlineMs);
  }

  #run(args: readonly string[], deadlineMs: number): Promise<string> {
    // Twice: `--atomic` waits again while it rolls back.
    return command(this.#helm, ['--namespace', this.#options.namespace, ...args], {
      deadlineMs: 2 * deadlineMs + 10_000,
    });
  }
}

function waiting(deadlineMs: number): string[] {
  return ['--wait', '--timeout', seconds(deadlineMs)];
}

function seconds(ms: number): string {
  return `${Math.ceil(ms / 1000)}s`;
}
