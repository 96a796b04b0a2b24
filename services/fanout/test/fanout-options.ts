import type { Bus } from '@tailrace/bus/bus';
import type { EventLog } from '@tailrace/eventlog/event-log';
import type { Clock } from '@tailrace/platform/clock';
import { type Logger, silentLogger } from '@tailrace/platform/logger';
import { createMetrics } from '@tailrace/platform/metrics';
import { noTracing, type Tracing } from '@tailrace/platform/tracing';
import type { FanoutOptions, FanoutTopics } from '../src/app.ts';
import type { FanoutSettings } from '../src/config.ts';
import type { Transport } from '../src/transport.ts';
import { testConfig } from './node.ts';

export const topic = 'tailrace.telemetry';
export const stateTopic = 'tailrace.state';
export const eventsTopic = 'tailrace.events';
export const epoch = 'epoch-1';
export const eventsEpoch = 'events-1';

/** The topics of a composed node. */
export function topicsOf(partitions: number): FanoutTopics {
  const names = { telemetry: topic, state: stateTopic, events: eventsTopic, alarms: 'tailrace.alarms' };
  return { ...names, partitions, epoch, eventsEpoch };
}

/** So long and large that nothing is deleted. */
export const retention = { retentionMs: 1e12, retentionBytes: 1e12 } as const;

/** Options of `createFanout` for a node in this process, on a clock of the test. */
export function fanoutOptions(options: {
  readonly node: string;
  readonly eventLog: EventLog;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly transport: Transport;
  readonly partitions: number;
  readonly settings: Partial<FanoutSettings>;
  /** Default: always the same number. */
  readonly random?: () => number;
  readonly logger?: Logger;
  readonly tracing?: Tracing;
  readonly workStepsMax?: number | undefined;
  /** The duration of a turn of the event loop, ms. Default: 0. */
  readonly turnMs?: () => number;
}): FanoutOptions {
  const { node, eventLog, bus, clock, transport, partitions, settings, turnMs } = options;
  return {
    eventLog,
    bus,
    clock,
    logger: options.logger ?? silentLogger,
    metrics: createMetrics({ service: 'fanout', node, processMetrics: false }),
    tracing: options.tracing ?? noTracing,
    transport,
    config: testConfig({ ...retention, ...settings, node, telemetryPartitions: partitions }),
    random: options.random ?? (() => 0.5),
    defer: (call) => void clock.after(turnMs?.() ?? 0, call),
    verify: async () => ({ subject: 's', publish: [], subscribe: ['>'] }),
    version: '1',
    workStepsMax: options.workStepsMax,
  };
}
