import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { systemClock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { eventually } from '@tailrace/testkit/eventually';
import type { OpcuaSource } from '../src/opcua/opcua-source.ts';
import { SubscribedSource } from '../src/opcua/subscribed-source.ts';
import type { Sample } from '../src/sample.ts';
import { sourcesFrom } from '../src/sources-file.ts';
import { startUnstableLink, type UnstableLink } from './opcua-peer.ts';

type Json = Record<string, unknown>;

export interface Started {
  readonly source: SubscribedSource;
  readonly samples: Sample[];
  /** Resolves with the first sample of a tag, since the call, that satisfies the condition. */
  next(tag: number, condition: (sample: Sample) => boolean): Promise<Sample>;
  live(): Promise<void>;
}

export interface StartOptions {
  readonly port: number;
  readonly tags: readonly Json[];
  readonly opcua?: Json;
  readonly random?: () => number;
  readonly pkiPath: string;
}

/** Starts a source, which is stopped after the test. */
export function startSource(t: TestContext, options: StartOptions): Started {
  const { port, tags, opcua = {}, random = () => 0.1, pkiPath } = options;
  const named = tags.map((tag, index) => ({ device: 'p.m', tag: `t${index}`, sampleMs: 50, ...tag }));
  const endpoint = `opc.tcp://127.0.0.1:${port}`;
  const entry = { name: 'peer', opcua: { endpoint, security: 'None', publishMs: 50, ...opcua }, tags: named };
  const samples: Sample[] = [];
  const source = new SubscribedSource({
    source: sourcesFrom(JSON.stringify({ sources: [entry] })).sources[0] as OpcuaSource,
    pkiPath,
    sink: (sample) => samples.push(sample),
    clock: systemClock,
    random,
    logger: silentLogger,
  });
  source.start();
  t.after(() => source.stop());
  return {
    source,
    samples,
    async next(tag, condition) {
      const from = samples.length;
      const found = () => samples.slice(from).find((sample) => sample.tag === tag && condition(sample));
      await eventually(() => found() !== undefined, { deadlineMs: 30_000, describe: `a sample of tag ${tag}` });
      return found()!;
    },
    async live() {
      await eventually(() => source.isLive, { deadlineMs: 30_000, describe: 'the source is live' });
    },
  };
}

/** Starts an unstable link, which is closed after the test. */
export async function startLink(t: TestContext, port: number): Promise<UnstableLink> {
  const link = await startUnstableLink(port);
  t.after(() => link.close());
  return link;
}

/** Creates a folder for certificates. */
export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'tailrace-opcua-'));
  return { path, remove: () => rmSync(path, { recursive: true }) };
}
