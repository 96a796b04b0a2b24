import type { Clock } from '@tailrace/platform/clock';
import type { Span, Tracing } from '@tailrace/platform/tracing';
import type { TailraceError } from '@tailrace/protocol/error';

/*
 * Names, kinds and attributes of the spans are those of OpenTelemetry:
 * https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/.
 */

/** How a message that is traced came. */
export type TracedProtocol = 'websocket' | 'mqtt' | 'bridge' | 'sparkplug';

/** A message to trace, as it was received. */
export interface TracedMessage {
  readonly protocol: TracedProtocol;
  /** W3C Trace Context of its sender, whose decision counts; '' for none. */
  readonly traceparent: string;
  readonly bytes: number;
  /** Monotonic ms. */
  readonly receivedMs: number;
}

/** A report of a traced message, before it is added to the intake; `IntakeEntry`. */
export interface TracedEntry {
  trace: MessageTrace | undefined;
  /** Of the record. */
  headers: Readonly<Record<string, string>> | undefined;
}

export interface MessageTracingOptions {
  readonly tracing: Pick<Tracing, 'enabled' | 'sampled' | 'span'>;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** The topic of reports. */
  readonly topic: string;
  /** The system of the event log. Undefined: within this process. */
  readonly system: string | undefined;
}

/**
 * Traces messages of devices, from their receipt until the log has settled them: a span `receive <protocol>`, and in it
 * the span of the append, whose `traceparent` is the header of the record. A batch of a device is one message.
 *
 * Decided once for each message, when it is next to be appended. A message that is not sampled costs a comparison and
 * no memory.
 */
export class MessageTracing {
  readonly #options: MessageTracingOptions;

  constructor(options: MessageTracingOptions) {
    this.#options = options;
  }

  /** Whether any message can be traced: only then is its `traceparent` needed. */
  get enabled(): boolean {
    return this.#options.tracing.enabled;
  }

  /** Returns the trace of a message that is sampled, undefined for others. Hot: called once for each message. */
  start(protocol: TracedProtocol, traceparent: string, bytes: number, receivedMs: number): MessageTrace | undefined {
    const { tracing } = this.#options;
    if (!tracing.enabled) return undefined;
    const parent = traceparent === '' ? undefined : traceparent;
    if (!tracing.sampled(parent)) return undefined;
    return new MessageTrace(this.#options, { protocol, traceparent, bytes, receivedMs });
  }
}

/** The trace of a message, whose reports are appended one by one. */
export class MessageTrace {
  readonly #options: MessageTracingOptions;
  readonly #received: Span;
  #append: Span | undefined;
  /** Reports that the log has not settled. */
  #unsettled = 0;
  #error: TailraceError | undefined;

  constructor(options: MessageTracingOptions, { protocol, traceparent, bytes, receivedMs }: TracedMessage) {
    const { tracing, clock } = options;
    const attributes = {
      'messaging.system': protocol === 'websocket' ? 'websocket' : 'mqtt',
      'messaging.operation.name': 'receive',
      'messaging.operation.type': 'receive',
      'messaging.message.body.size': bytes,
    };
    const parent = traceparent === '' ? {} : { parent: traceparent };
    const ageMs = clock.monotonic() - receivedMs;
    this.#options = options;
    this.#received = tracing.span(`receive ${protocol}`, attributes, { kind: 'consumer', ageMs, ...parent });
  }

  /** Of the message, for its exemplars. */
  get traceparent(): string {
    return this.#received.traceparent;
  }

  /** Starts the append of the reports of the message, before they are added to the intake. At least one. */
  append(entries: readonly TracedEntry[]): void {
    const { tracing, topic, system } = this.#options;
    const attributes = {
      'messaging.system': system ?? 'tailrace',
      'messaging.operation.name': 'send',
      'messaging.operation.type': 'send',
      'messaging.destination.name': topic,
      'messaging.batch.message_count': entries.length,
    };
    const { traceparent: parent } = this.#received;
    this.#append = tracing.span(`send ${topic}`, attributes, { parent, kind: 'producer' });
    this.#unsettled = entries.length;
    const headers = { traceparent: this.#append.traceparent };
    for (const entry of entries) {
      entry.trace = this;
      entry.headers = headers;
    }
  }

  /** Called once for each report, when the log has confirmed it, or has refused it and it is not appended again. */
  settled(error: TailraceError | undefined): void {
    this.#error ??= error;
    if (--this.#unsettled > 0) return;
    if (this.#error !== undefined) {
      this.#append?.fail(this.#error);
      this.#received.fail(this.#error);
    }
    this.#append?.end();
    this.#end(this.#error === undefined ? 'accepted' : this.#error.retryable ? 'unavailable' : 'rejected');
  }

  /** Called instead of `append` for a message without a valid report: an error of its sender. */
  rejected(): void {
    this.#end('rejected');
  }

  #end(outcome: string): void {
    this.#received.set('tailrace.outcome', outcome);
    this.#received.end();
  }
}
