import type { LogBatch } from '@tailrace/eventlog/event-log';
import { parseTraceparent } from '@tailrace/platform/traceparent';
import { noSpan, type Span, type Tracing } from '@tailrace/platform/tracing';
import type { Partition, RelayedReports } from './ownership/partition.ts';
import { Pipeline, type PipelineOptions } from './pipeline.ts';
import { relaySubject } from './subjects.ts';

/** Maximum of the links of a span. */
const linksMax = 128;

export interface TracedPipelineOptions extends PipelineOptions {
  readonly tracing: Tracing;
  readonly eventLog: { readonly system?: string };
  readonly bus: { readonly system?: string };
  readonly topic: string;
  readonly group: string;
}

/**
 * The pipeline of a node with tracing, by OpenTelemetry's conventions for messaging. A fetch of the log has one span,
 * linked to the requests of its reports, and below it a span for each step. Frames carry it to other nodes, which start
 * their own spans. A report never has a span. A batch without a trace costs one check of each record for a header.
 */
export class TracedPipeline extends Pipeline {
  readonly #tracing: Tracing;
  readonly #batchFacts: Readonly<Record<string, string>>;
  readonly #relayFacts: Readonly<Record<string, string>>;
  readonly #topic: string;

  constructor({ tracing, eventLog, bus, topic, group, ...options }: TracedPipelineOptions) {
    super(options);
    this.#tracing = tracing;
    this.#topic = topic;
    this.#batchFacts = {
      ...facts(eventLog.system, 'process'),
      'messaging.destination.name': topic,
      'messaging.consumer.group.name': group,
    };
    this.#relayFacts = { 'messaging.system': bus.system ?? 'tailrace' };
  }

  override takeBatches(batches: readonly LogBatch[]): void {
    this.#during(this.#batchSpan(batches), () => super.takeBatches(batches));
  }

  override takeFrame(partition: Partition, frame: RelayedReports, from: number): void {
    this.#during(this.#frameSpan(partition.number, frame), () => super.takeFrame(partition, frame, from));
  }

  override flushViews(): void {
    if (this.traceparent === '') {
      super.flushViews();
      return;
    }
    const span = this.#tracing.span('publish views', {}, { parent: this.traceparent });
    const { frames, deliveries } = this.views.counts;
    super.flushViews();
    span.set('tailrace.frames', this.views.counts.frames - frames);
    span.set('tailrace.deliveries', this.views.counts.deliveries - deliveries);
    span.end();
  }

  protected override flushRelay(relayed: readonly Partition[]): void {
    this.#during(this.traceparent === '' ? noSpan : this.#relaySpan(), () => super.flushRelay(relayed));
  }

  /** Calls with the span as the current one, then closes the span. */
  #during(span: Span, call: () => void): void {
    const before = this.traceparent;
    this.traceparent = span.traceparent;
    try {
      span.run(call);
    } finally {
      this.traceparent = before;
      span.end();
    }
  }

  #batchSpan(batches: readonly LogBatch[]): Span {
    const tracing = this.#tracing;
    if (!tracing.enabled) return noSpan;
    const links = tracesIn(batches, this.partitions);
    if (!tracing.sampled(links.find((link) => parseTraceparent(link)?.sampled))) return noSpan;
    const span = tracing.span(`process ${this.#topic}`, this.#batchFacts, { links, kind: 'consumer' });
    span.set(
      'messaging.batch.message_count',
      batches.reduce((sum, { records }) => sum + records.length, 0),
    );
    span.set('tailrace.partitions', batches.length);
    return span;
  }

  /** Returns the span of a frame that an owner sent within a traced batch. */
  #frameSpan(partition: number, { traceparent, updates }: RelayedReports): Span {
    const tracing = this.#tracing;
    if (traceparent === '' || !tracing.enabled || !tracing.sampled(traceparent)) return noSpan;
    // A frame has one cause, so its span is a child. The conventions require the link of every consumer.
    const options = { parent: traceparent, links: [traceparent], kind: 'consumer' } as const;
    const span = tracing.span('process tailrace.v1.relay', { ...this.#relayFacts, ...operation('process') }, options);
    span.set('messaging.destination.name', relaySubject(partition));
    span.set('tailrace.updates', updates.length);
    return span;
  }

  #relaySpan(): Span {
    const options = { parent: this.traceparent, kind: 'producer' } as const;
    return this.#tracing.span('send tailrace.v1.relay', { ...this.#relayFacts, ...operation('send') }, options);
  }
}

function facts(system: string | undefined, doing: 'send' | 'process') {
  return { 'messaging.system': system ?? 'tailrace', ...operation(doing) };
}

function operation(doing: 'send' | 'process') {
  return { 'messaging.operation.name': doing, 'messaging.operation.type': doing };
}

/**
 * Returns the traces of records in owned partitions, each once. Records that are read back were traced when they were
 * new.
 */
function tracesIn(batches: readonly LogBatch[], partitions: readonly Partition[]): readonly string[] {
  const traces = new Set<string>();
  for (const { partition, records } of batches) {
    if (partitions[partition]!.role !== 'owned') continue;
    for (const { headers } of records) {
      const traceparent = headers?.['traceparent'];
      if (traceparent !== undefined && traces.size < linksMax) traces.add(traceparent);
    }
  }
  return [...traces];
}
