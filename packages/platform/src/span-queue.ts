import type { ReadableSpan, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace-base';

/** Counts of finished spans. */
export interface SpanCounts {
  /** Not exported yet, those in progress included. */
  readonly waiting: number;
  /** Limit of `waiting`, at which new ones are dropped. */
  readonly waitingMax: number;
  readonly sent: number;
  /** Not accepted by the collector. */
  readonly failed: number;
  readonly dropped: number;
}

/** Bounds the spans that wait for a collector, and counts them: the SDK's own queue drops without a count. */
export class SpanQueue {
  readonly counts: { -readonly [K in keyof SpanCounts]: SpanCounts[K] };

  constructor(waitingMax: number) {
    this.counts = { waiting: 0, waitingMax, sent: 0, failed: 0, dropped: 0 };
  }

  /** Returns a processor that drops spans at the limit before they reach the batching one. */
  bounded(processor: SpanProcessor): SpanProcessor {
    const { counts } = this;
    return {
      onStart: (span, context) => processor.onStart(span, context),
      onEnd(span) {
        if (counts.waiting >= counts.waitingMax) {
          counts.dropped++;
          return;
        }
        counts.waiting++;
        processor.onEnd(span);
      },
      forceFlush: () => processor.forceFlush(),
      shutdown: () => processor.shutdown(),
    };
  }

  /** Returns an exporter that counts what it exports. */
  counted(exporter: SpanExporter): SpanExporter {
    const { counts } = this;
    return {
      export(spans: ReadableSpan[], done) {
        exporter.export(spans, (result) => {
          counts.waiting -= spans.length;
          if (result.code === 0) counts.sent += spans.length;
          else counts.failed += spans.length;
          done(result);
        });
      },
      shutdown: () => exporter.shutdown(),
      forceFlush: async () => exporter.forceFlush?.(),
    };
  }
}
