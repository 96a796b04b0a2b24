/** Messages of an edge node, and a node that records what it reports. */
import type { Reading } from '@tailrace/protocol/report';
import { createCounts } from '../src/counts.ts';
import { dataTypes } from '../src/data-type.ts';
import { EdgeNode } from '../src/edge-node.ts';
import { metricFields } from '../src/metric-fields.ts';
import { rebirthName } from '../src/metric-table.ts';
import type {
  Birth,
  NodeHandlers,
  NodeMessage,
  PresenceChange,
  RebirthCause,
  SequenceGap,
  UnreadableMessage,
} from '../src/node-events.ts';
import { encodePayload, type Metric, type PayloadFields } from '../src/payload.ts';
import type { ReadingBatch } from '../src/readings.ts';
import { defaultReorderLimits, type ReorderLimits } from '../src/reorder-window.ts';
import type { MessageType } from '../src/topic.ts';

/** The time of all messages that state no other. */
export const startMs = 1_700_000_000_000;

/** Returns a metric with name, data type, value and time. */
export function metricOf(
  name: string,
  value: Reading['value'],
  { dataType = dataTypeOf(value), ...more }: { dataType?: number } & Metric = {},
): Metric {
  return { name, datatype: dataType, timestamp: startMs, ...metricFields(name, dataType, value), ...more };
}

function dataTypeOf(value: Reading['value']): number {
  if (typeof value === 'number') return dataTypes.double;
  return typeof value === 'boolean' ? dataTypes.boolean : dataTypes.string;
}

export function bdSeqMetric(bdSeq: number, more: Metric = {}): Metric {
  return metricOf('bdSeq', bdSeq, { dataType: dataTypes.int64, ...more });
}

export const rebirthMetric = metricOf(rebirthName, false);

export interface MessageFields extends PayloadFields {
  readonly device?: string;
  readonly isRetained?: boolean;
}

/** Returns a message; the payload's timestamp is `startMs` if not stated. */
export function message(type: MessageType, { device, isRetained, ...payload }: MessageFields): NodeMessage {
  const bytes = encodePayload({ timestamp: startMs, ...payload });
  return { type, bytes, ...(device === undefined ? {} : { device }), ...(isRetained === true ? { isRetained } : {}) };
}

/** Returns an NBIRTH with bdSeq, the rebirth metric, and those of `metrics`. */
export function nodeBirth({
  bdSeq = 1,
  seq = 0,
  metrics = [],
  ...more
}: MessageFields & { bdSeq?: number } = {}): NodeMessage {
  return message('NBIRTH', { seq, metrics: [bdSeqMetric(bdSeq), rebirthMetric, ...metrics!], ...more });
}

export function nodeDeath(bdSeq: number, more: MessageFields = {}): NodeMessage {
  return message('NDEATH', { metrics: [bdSeqMetric(bdSeq)], ...more });
}

/** Returns an NDATA, or a DDATA with `device`, with one metric. */
export function data(seq: number, name: string, value: Reading['value'], more: MessageFields = {}): NodeMessage {
  return message(more.device === undefined ? 'NDATA' : 'DDATA', { seq, metrics: [metricOf(name, value)], ...more });
}

/** What a node reported, in order. */
export class RecordingHandlers implements NodeHandlers {
  readonly batches: Omit<ReadingBatch, 'payload'>[] = [];
  readonly payloads: Uint8Array[] = [];
  readonly presences: (readonly PresenceChange[])[] = [];
  readonly letters: UnreadableMessage[] = [];
  readonly gaps: SequenceGap[] = [];
  readonly causes: RebirthCause[] = [];
  readonly births: Birth[] = [];
  synchronizations = 0;

  /** All readings, as in `device/tag=value`. */
  get texts(): string[] {
    return this.batches.flatMap(({ device, readings }) =>
      readings.map(({ tag, value }) => `${device === undefined ? '' : `${device}/`}${tag}=${value}`),
    );
  }

  /** Changes of presence, as in `+node` and `-device1`; those of one call joined by a space. */
  get presenceTexts(): string[] {
    return this.presences.map((changes) =>
      changes.map(({ device = 'node', isOnline }) => `${isOnline ? '+' : '-'}${device}`).join(' '),
    );
  }

  readings({ payload, ...batch }: ReadingBatch): void {
    this.batches.push(batch);
    this.payloads.push(payload);
  }

  presence(changes: readonly PresenceChange[]): void {
    this.presences.push(changes);
  }

  unreadable(letter: UnreadableMessage): void {
    this.letters.push(letter);
  }

  gap(gap: SequenceGap): void {
    this.gaps.push(gap);
  }

  rebirthNeeded(cause: RebirthCause): void {
    this.causes.push(cause);
  }

  synchronized(): void {
    this.synchronizations++;
  }

  birth(birth: Birth): void {
    this.births.push(birth);
  }
}

/** Returns a node and what it reports. `receive` passes messages at `startMs`. */
export function createNode(limits: Partial<ReorderLimits> = {}) {
  const seen = new RecordingHandlers();
  const counts = createCounts();
  const node = new EdgeNode({ handlers: seen, counts, limits: { ...defaultReorderLimits, ...limits } });
  const receive = (...messages: NodeMessage[]) => {
    for (const each of messages) node.receive(each, startMs);
  };
  return { node, seen, counts, receive };
}
