import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Report } from '@tailrace/protocol/report';
import { eventually } from '@tailrace/testkit/eventually';
import type { StackService } from '../../scripts/stack-service.ts';
import { type CountingDevice, startCountingDevice } from '../../services/edge/test/counting-device.ts';
import { type ReadingCounts, readingCountsOf } from './gateway-readings.ts';
import { Ledger } from './ledger.ts';
import type { OpcuaSender } from './opcua-sender.ts';
import type { Sender } from './paced-sender.ts';
import { type SessionProxy, startSessionProxy } from './session-proxy.ts';

const units = 5;
const prefix = 'plant1.gateway.meter';
const finishMs = 120_000;
/** A second is usual. A host that pauses delays the acknowledgments of what is in memory. */
const lossSecondsMax = 3;

/** How a gateway caught up, times in ms. */
export interface CatchUp {
  /** Reports, when ingest was back. */
  readonly backlog: number;
  /** From ingest being back to the first acknowledgment. */
  readonly firstMs: number;
  /** Of live readings, from the answer of the machine to the acknowledgment. */
  readonly maxLagMs: number;
  /** Until there was no backlog. */
  readonly tookMs: number;
}

/** Starts the gateway as a process with these settings. */
export type StartGateway = (settings: NodeJS.ProcessEnv) => Promise<StackService>;

export interface GatewaySenderOptions {
  readonly folder: string;
  readonly token: string;
  readonly perSecond: number;
  /** The port of ingest. */
  readonly ingestPort: () => number;
  readonly startGateway: StartGateway;
  /** A machine behind the same gateway. Its server is started by `listen`. */
  readonly opcua: Pick<OpcuaSender, 'listen' | 'acknowledged'>;
}

interface Lag {
  readonly fromMs: number;
  maxMs: number;
  firstMs: number | undefined;
}

/**
 * A gateway that reads Modbus units, and the machine of `OpcuaSender`. A message is the reading of one poll, sent when
 * the unit has answered it. What a gateway that is killed has in memory is lost, and the gateway reports how much.
 */
export class GatewaySender implements Sender {
  readonly ledger = new Ledger('gateway', ({ device, readings }) =>
    device.startsWith(prefix)
      ? readings.flatMap(({ tag, value }) => (tag === 'count' ? [`${device} ${value}`] : []))
      : [],
  );
  /** Of a gateway, the readings of a second: those that wait in memory, and those on their way. */
  readonly inFlightMax: number;
  readonly lossMax: number;
  readonly #options: GatewaySenderOptions;
  readonly #sentMs = new Map<string, number>();
  /** When each reading was read, epoch ms. */
  readonly #readAtMs = new Map<string, number>();
  readonly #outages: { readonly fromMs: number; readonly toMs: number }[] = [];
  /** Of readings since the link is back; undefined outside of `catchUp`. */
  #lag: Lag | undefined;
  #device: CountingDevice | undefined;
  #proxy: SessionProxy | undefined;
  #gateway: StackService | undefined;

  constructor(options: GatewaySenderOptions) {
    this.#options = options;
    this.inFlightMax = options.perSecond;
    this.lossMax = lossSecondsMax * options.perSecond;
  }

  /** The process. Undefined before the start. */
  get gateway(): StackService | undefined {
    return this.#gateway;
  }

  async start(): Promise<void> {
    const { folder, token, perSecond, ingestPort, startGateway, opcua } = this.#options;
    const machine = opcua.listen(folder);
    this.#device = await startCountingDevice({
      onRead: (unit, count) => {
        const key = `${prefix}${unit} ${count}`;
        this.ledger.send(key);
        this.#sentMs.set(key, performance.now());
        this.#readAtMs.set(key, Date.now());
      },
    });
    this.#proxy = await startSessionProxy(ingestPort, ({ from, payload }) => {
      for (const { tag, value } of payload?.readings ?? []) {
        if (tag === 'count') this.#acknowledged(`${from} ${value}`);
        else opcua.acknowledged(from, tag, value);
      }
    });
    const tags = [{ tag: 'count', table: 'holding', address: 0, type: 'u32' }];
    const pollMs = Math.max(10, Math.round((units * 1000) / perSecond));
    const source = {
      name: 'meters',
      modbus: { host: '127.0.0.1', port: this.#device.port },
      units: Array.from({ length: units }, (_, index) => ({
        ...{ unit: index + 1, device: `${prefix}${index + 1}`, addressing: 'zero', pollMs, tags },
      })),
    };
    const [sourcesFile, tokenFile] = [join(folder, 'sources.json'), join(folder, 'gateway-token')];
    // Of an earlier run.
    const storePath = join(folder, 'gateway-store');
    await rm(storePath, { recursive: true, force: true });
    await writeFile(sourcesFile, JSON.stringify({ sources: [source, await machine] }));
    await writeFile(tokenFile, token, { mode: 0o600 });
    this.#gateway = await startGateway({
      TAILRACE_EDGE_PATH: 'plant1.gateway.edge1',
      TAILRACE_INGEST_URL: `http://127.0.0.1:${this.#proxy.port}`,
      TAILRACE_TOKEN_FILE: tokenFile,
      TAILRACE_SOURCES_FILE: sourcesFile,
      TAILRACE_STORE_PATH: storePath,
      TAILRACE_PKI_PATH: join(folder, 'gateway-pki'),
    });
  }

  /** Resolves with the value of a metric of the gateway. */
  async metric(name: string): Promise<number> {
    const page = await (await fetch(`${this.#gateway!.internal}/metrics`)).text();
    return Number(new RegExp(`^${name}(?:\\{.*\\})? (.+)$`, 'm').exec(page)?.[1]);
  }

  /**
   * Watches how the gateway catches up, now that ingest can be reached again. Resolves when there is no backlog any
   * more, with how late live readings were in the meantime. `awayMs`: since when ingest was away, epoch ms.
   */
  async catchUp(awayMs: number): Promise<CatchUp> {
    this.#outages.push({ fromMs: awayMs, toMs: Date.now() });
    const lag: Lag = { fromMs: performance.now(), maxMs: 0, firstMs: undefined };
    this.#lag = lag;
    const backlog = await this.metric('tailrace_edge_backlog_reports');
    const isDone = async () => lag.firstMs !== undefined && (await this.metric('tailrace_edge_backlog_reports')) === 0;
    await eventually(isDone, { deadlineMs: finishMs, pollMs: 50, describe: 'the gateway has caught up' });
    this.#lag = undefined;
    return { backlog, firstMs: lag.firstMs ?? 0, maxLagMs: lag.maxMs, tookMs: performance.now() - lag.fromMs };
  }

  /** Checks times and order of the readings in the log. */
  readingCounts(reports: readonly Report[]): ReadingCounts {
    const readAtMs = (device: string, count: number) => this.#readAtMs.get(`${device} ${count}`);
    return readingCountsOf(reports, { readAtMs, outages: this.#outages });
  }

  /** Stops the answers of the units, so that nothing new is read. Resolves when the gateway has nothing that waits. */
  async finish(): Promise<void> {
    this.#device?.mute();
    await eventually(async () => (await this.metric('tailrace_edge_waiting_reports')) === 0, {
      ...{ deadlineMs: finishMs, pollMs: 50, describe: 'the gateway has sent everything' },
    });
  }

  async stop(): Promise<void> {
    await this.#device?.stop();
    await this.#proxy?.stop();
  }

  #acknowledged(key: string): void {
    const sentMs = this.#sentMs.get(key);
    if (sentMs === undefined) return;
    this.#sentMs.delete(key);
    this.ledger.acknowledge(key, sentMs);
    if (this.#lag === undefined) return;
    const nowMs = performance.now();
    this.#lag.firstMs ??= nowMs - this.#lag.fromMs;
    // What was read before the first acknowledgment waited for the link.
    if (sentMs > this.#lag.fromMs + this.#lag.firstMs) this.#lag.maxMs = Math.max(this.#lag.maxMs, nowMs - sentMs);
  }
}
