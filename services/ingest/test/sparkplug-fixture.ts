/** A Sparkplug host on a log, broker and clock of the test, and messages of edge nodes. */
import { silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { TailraceError } from '@tailrace/protocol/error';
import type { Reading, Report } from '@tailrace/protocol/report';
import { decodeReport } from '@tailrace/protocol/report-proto';
import { dataTypes } from '@tailrace/sparkplug/data-type';
import { metricFields } from '@tailrace/sparkplug/metric-fields';
import { rebirthName } from '@tailrace/sparkplug/metric-table';
import { encodePayload, type Metric, type PayloadFields } from '@tailrace/sparkplug/payload';
import { type MessageType, topicOf } from '@tailrace/sparkplug/topic';
import { createFakeClock } from '@tailrace/testkit/fake-clock';
import type { SparkplugSettings } from '../src/bridge/sparkplug-settings.ts';
import type { DeadLetter } from '../src/dead-letters/dead-letter.ts';
import type { IntakeEntry } from '../src/intake/intake-entry.ts';
import type { StoredBirth } from '../src/sparkplug/birth-store.ts';
import { createHostCounts } from '../src/sparkplug/host-counts.ts';
import type { Acknowledger, BrokerMessage, SparkplugBroker } from '../src/sparkplug/sparkplug-broker.ts';
import { SparkplugHost, type SparkplugHostOptions } from '../src/sparkplug/sparkplug-host.ts';
import { noMessageTracing } from './no-message-tracing.ts';

export const startMs = 1_700_000_000_000;

/** A node of group `g`, and what its messages have besides metrics. */
export interface Sent extends PayloadFields {
  readonly node?: string;
  readonly device?: string;
  readonly retain?: boolean;
  readonly ticket?: number;
}

export function metricOf(name: string, value: Reading['value'], more: Metric = {}): Metric {
  const kind = { number: dataTypes.double, boolean: dataTypes.boolean, string: dataTypes.string };
  const dataType = more.datatype ?? kind[typeof value as keyof typeof kind];
  return { name, datatype: dataType, ...metricFields(name, dataType, value), ...more };
}

export const bdSeqOf = (bdSeq: number): Metric => metricOf('bdSeq', bdSeq, { datatype: dataTypes.int64 });

/** Appends what the host adds: at once, or when the test calls `settle`. */
export class TestIntake {
  isFull = false;
  /** Whether entries wait for `settle`. */
  isHeld = false;
  /** Of the next entries. */
  error: TailraceError | undefined;
  readonly reports: Report[] = [];
  readonly held: IntakeEntry[] = [];
  #seq = 0;

  add(entry: IntakeEntry): void {
    this.held.push(entry);
    if (!this.isHeld) this.settle();
  }

  settle(): void {
    for (const entry of this.held.splice(0)) {
      const error = this.error;
      if (error === undefined) {
        this.reports.push(decodeReport(entry.value));
        entry.seq = this.#seq++;
      }
      entry.state = 'settled';
      entry.source.settled(entry, error);
      entry.source.flushAcks();
    }
  }

  /** All readings, as in `plant.g.n/tag=value`; of historical reports with `~`. */
  get texts(): string[] {
    return this.reports.flatMap(({ device, readings, historical }) =>
      readings.map(({ tag, value }) => `${device}/${historical === true ? '~' : ''}${tag}=${value}`),
    );
  }
}

export const unavailable = new TailraceError('unavailable', 'the log cannot be reached');

export interface TestHostOptions extends Partial<SparkplugSettings> {
  readonly hasPeers?: boolean;
  readonly ingestNode?: string;
  readonly isSharedByTenants?: boolean;
  readonly births?: readonly StoredBirth[];
  readonly allowsDevice?: (path: string) => boolean;
}

export function createTestHost(options: TestHostOptions = {}) {
  const { hasPeers = false, ingestNode = 'ingest-0', births = [], allowsDevice = () => true, ...rest } = options;
  const { isSharedByTenants = false, ...settings } = rest;
  const clock = createFakeClock({ nowMs: startMs });
  const intake = new TestIntake();
  const letters: DeadLetter[] = [];
  const presence: string[] = [];
  const stored: string[] = [];
  /** Keys of births that are not stored yet. */
  const pending = new Set<string>();
  /** What the host has sent, as in `NCMD n` or `STATE true 1700000000000`. */
  const published: string[] = [];
  const settled: number[] = [];
  let unsent: number[] = [];
  const state = { isPaused: false, isWritable: true };
  const broker: SparkplugBroker = {
    publish({ topic, payload, qos, retain }) {
      if (!state.isWritable) return false;
      const [, group, type, node] = topic.split('/');
      published.push(group === 'STATE' ? `STATE ${type} ${qos}${retain} ${Buffer.from(payload)}` : `${type} ${node}`);
      return true;
    },
    pause() {
      state.isPaused = true;
    },
    resume() {
      state.isPaused = false;
    },
  };
  const from: Acknowledger = {
    settle: (ticket) => void unsent.push(ticket),
    flush() {
      settled.push(...unsent);
      unsent = [];
    },
  };
  const counts = createHostCounts(createMetrics({ service: 'ingest', node: 'test', processMetrics: false }));
  const accepted: number[] = [];
  const hostOptions: SparkplugHostOptions = {
    name: 'plant-broker',
    ingestNode,
    settings: { role: 'passive', hostId: 'h1', prefix: 'plant', ids: {}, reorderMs: 5_000, ...settings },
    hasPeers,
    isSharedByTenants,
    broker,
    intake,
    tracing: noMessageTracing,
    letters: {
      write(letter, done) {
        letters.push(letter);
        setImmediate(() => done(intake.error));
      },
    },
    births: {
      put: (key, bytes) => void stored.push(`${key} ${bytes.length}`),
      take: () => births,
      isPending: (key) => pending.has(key),
    },
    presence: {
      started: ({ device }) => void presence.push(`+${device}`),
      closed: ({ device }, reason, graceMs, lastSeq) =>
        void presence.push(`-${device} ${reason} ${graceMs} ${lastSeq}`),
    },
    grant: { allowsDevice, covers: 'the broker may publish plant.>' },
    devices: { admit() {} },
    clockAheadMs: 60_000,
    counts,
    onAccepted: (readings) => void accepted.push(readings),
    clock,
    logger: silentLogger,
  };
  const host = new SparkplugHost(hostOptions);
  const timers = [clock.every(100, () => host.tick()), clock.every(1_000, () => host.check())];
  const receive = (message: BrokerMessage) => host.receive(message, from);
  const send = (type: MessageType, sent: Sent = {}) => {
    const { node = 'n', device, retain = false, ticket = -1, ...payload } = sent;
    const topic = topicOf({ type, group: 'g', node, ...(device === undefined ? {} : { device }) });
    receive({ topic, payload: encodePayload({ timestamp: clock.now(), ...payload }), retain, ticket });
  };
  const birth = ({ bdSeq = 1, seq = 0, metrics = [], hasRebirth = true, ...more }: Sent & BirthFields = {}) =>
    send('NBIRTH', {
      seq,
      metrics: [bdSeqOf(bdSeq), ...(hasRebirth ? [metricOf(rebirthName, false)] : []), ...metrics!],
      ...more,
    });
  return {
    ...{
      host,
      clock,
      intake,
      letters,
      presence,
      stored,
      pending,
      published,
      settled,
      state,
      counts,
      accepted,
      receive,
      send,
      birth,
    },
    stop: () => timers.forEach((timer) => void timer.cancel()),
  };
}

interface BirthFields {
  readonly bdSeq?: number;
  readonly hasRebirth?: boolean;
}
