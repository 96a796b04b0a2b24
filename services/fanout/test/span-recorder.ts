import type { Span, SpanAttributes, SpanOptions, Tracing } from '@tailrace/platform/tracing';

export interface RecordedSpan {
  readonly name: string;
  readonly traceparent: string;
  readonly options: SpanOptions;
  readonly attributes: Record<string, string | number | boolean>;
  ended: boolean;
}

/** Tracing that records its spans, and samples what has a sampled parent, or everything. */
export interface SpanRecorder {
  readonly tracing: Tracing;
  readonly spans: RecordedSpan[];
  /** Whether spans without a parent are sampled as well. */
  all: boolean;
}

let made = 0;

export function createSpanRecorder(): SpanRecorder {
  const recorder: SpanRecorder = {
    spans: [],
    all: false,
    tracing: {
      enabled: true,
      sampled: (parent) => recorder.all || parent?.endsWith('-01') === true,
      span(name: string, attributes: SpanAttributes = {}, options: SpanOptions = {}): Span {
        const id = `${++made}`.padStart(16, '0');
        const trace = options.parent?.split('-')[1] ?? id.padStart(32, '0');
        const recorded = {
          ...{ name, options, ended: false, attributes: { ...attributes } },
          traceparent: `00-${trace}-${id}-01`,
        };
        recorder.spans.push(recorded);
        return {
          traceparent: recorded.traceparent,
          set(key, value) {
            recorded.attributes[key] = value;
          },
          fail() {},
          run: (call) => call(),
          end() {
            recorded.ended = true;
          },
        };
      },
      fields: () => ({}),
      stop: async () => {},
    },
  };
  return recorder;
}
