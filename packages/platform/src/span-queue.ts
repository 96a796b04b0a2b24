import type { ReadableSpan, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace-base';

/** What has become of the spans that ended. */
export interface SpanCounts {
  /** Not sent yet, those on their way included. */
  readonly waiting: number;
  /** At which new ones are dropped. */
  readonly waitingMax: number;
  readonly sent: number;
  /** The collector did not take them. */
  readonly failed: number;
  readonly dropped: number;
}

/** Keeps the spans that wait for a collector within a bound, and counts them: the SDK's own queue drops in silence. */
export class SpanQueue {
  readonly counts: { -readonly [K in keyof SpanCounts]: SpanCounts[K] };

  constructor(waitingMax: number) {
    this.counts = { waiting: 0, waitingMax, sent: 0, failed: 0, dropped: 0 };
  }

  /** In front of the processor that gathers them. */
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

  /** Around the exporter that sends them. */
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
