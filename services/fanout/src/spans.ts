import type { LogBatch } from '@tailrace/eventlog/eventlog';
import { parseTraceparent } from '@tailrace/platform/traceparent';
import { noSpan, type Span, type Tracing } from '@tailrace/platform/tracing';
import type { Partition } from './ownership/partition.ts';
import { relaySubject } from './subjects.ts';
import type { Views } from './views/view.ts';

/** More links than this a span does not keep. */
const linksMax = 128;

export interface FanoutSpansParts {
  readonly tracing: Tracing;
  readonly eventLog: { readonly system?: string };
  readonly bus: { readonly system?: string };
  readonly topic: string;
  readonly group: string;
}

/**
 * The spans of a fanout node, after OpenTelemetry's conventions for messaging: one for what a fetch of the log brought, linked to the requests that
 * its reports came by, and below it what that caused: frames to sockets, frames to other nodes, and there again frames to sockets. Never one for a
 * report. Where a batch is not traced, this costs a test of a flag, and where tracing is on, a look at each record for a header.
 */
export class FanoutSpans {
  readonly #tracing: Tracing;
  readonly #batchFacts: Readonly<Record<string, string>>;
  readonly #relayFacts: Readonly<Record<string, string>>;
  readonly #topic: string;

  constructor({ tracing, eventLog, bus, topic, group }: FanoutSpansParts) {
    this.#tracing = tracing;
    this.#topic = topic;
    this.#batchFacts = {
      ...facts(eventLog.system, 'process'),
      'messaging.destination.name': topic,
      'messaging.consumer.group.name': group,
    };
    this.#relayFacts = { 'messaging.system': bus.system ?? 'tailrace' };
  }

  /** Of the batches of one turn, before they are worked through. */
  batch(batches: readonly LogBatch[], partitions: readonly Partition[]): Span {
    const tracing = this.#tracing;
    if (!tracing.enabled) return noSpan;
    const links = tracesIn(batches, partitions);
    if (!tracing.sampled(links.find((link) => parseTraceparent(link)?.sampled))) return noSpan;
    const span = tracing.span(`process ${this.#topic}`, this.#batchFacts, { links, kind: 'consumer' });
    span.set(
      'messaging.batch.message_count',
      batches.reduce((sum, { records }) => sum + records.length, 0),
    );
    span.set('tailrace.partitions', batches.length);
    return span;
  }

  /** Of a frame that an owner sent while it worked through a batch that is traced. */
  frame(partition: number, frame: { readonly traceparent: string; readonly updates: readonly unknown[] }): Span {
    const { traceparent } = frame;
    const tracing = this.#tracing;
    if (traceparent === '' || !tracing.enabled || !tracing.sampled(traceparent)) return noSpan;
    // A frame has one cause, so that it may be a child; the link is what the conventions ask of every consumer.
    const options = { parent: traceparent, links: [traceparent], kind: 'consumer' } as const;
    const span = tracing.span('process tailrace.v1.relay', { ...this.#relayFacts, ...operation('process') }, options);
    span.set('messaging.destination.name', relaySubject(partition));
    span.set('tailrace.updates', frame.updates.length);
    return span;
  }

  /** Sends what the views have gathered: encodes it once a view, and hands it to the web server, which writes it to each socket. */
  publish(cause: Span, views: Pick<Views, 'flush' | 'counts'>): void {
    if (cause === noSpan) {
      views.flush();
      return;
    }
    const span = this.#tracing.span('publish views', {}, { parent: cause.traceparent });
    const { frames, deliveries } = views.counts;
    views.flush();
    span.set('tailrace.frames', views.counts.frames - frames);
    span.set('tailrace.deliveries', views.counts.deliveries - deliveries);
    span.end();
  }

  /** Ends a batch for other nodes. */
  relay(cause: Span, owned: readonly Partition[]): void {
    const span = cause !== noSpan && owned.some(({ feed }) => feed.waits) ? this.#relaySpan(cause) : noSpan;
    for (const { feed, next } of owned) feed.flush(next, span.traceparent);
    span.end();
  }

  #relaySpan(cause: Span): Span {
    const options = { parent: cause.traceparent, kind: 'producer' } as const;
    return this.#tracing.span('send tailrace.v1.relay', { ...this.#relayFacts, ...operation('send') }, options);
  }
}

function facts(system: string | undefined, doing: 'send' | 'process') {
  return { 'messaging.system': system ?? 'tailrace', ...operation(doing) };
}

function operation(doing: 'send' | 'process') {
  return { 'messaging.operation.name': doing, 'messaging.operation.type': doing };
}

/** The traces that records here carry, each once. What is read back for the last values was traced when it was new. */
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
