import { noSpan, type Span, type SpanAttributes, type Tracing } from '@tailrace/platform/tracing';
import type { Command } from './commands/command.ts';

/*
 * Names, kinds and attributes of the spans are those of OpenTelemetry:
 * https://opentelemetry.io/docs/specs/semconv/http/http-spans/ and
 * https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/.
 */

const requestSubject = 'tailrace.v1.control';
const commandSubject = 'tailrace.v1.command';
const outcomeSubject = 'tailrace.v1.outcome';

export interface ControlTracingOptions {
  readonly tracing: Pick<Tracing, 'enabled' | 'sampled' | 'span'>;
  /** Of the bus; undefined: within this process. */
  readonly system: string | undefined;
}

/**
 * Traces requests of people, and what becomes of their commands. The span of the request is stored with the command, so
 * that what follows is in its trace, whichever process does it, also after a restart. No span has a device or a person.
 */
export class ControlTracing {
  readonly #options: ControlTracingOptions;

  constructor(options: ControlTracingOptions) {
    this.#options = options;
  }

  /** Starts the span of an HTTP request. `route`: with the names of its parameters. */
  request(method: string, route: string, traceparent: string): Span {
    const attributes = { 'http.request.method': method, 'http.route': route, 'url.scheme': 'http' };
    return this.#span(`${method} ${route}`, traceparent, 'server', attributes);
  }

  /** Starts the span of a request over the bus. */
  busRequest(traceparent: string): Span {
    return this.#span(`process ${requestSubject}`, traceparent, 'server', this.#facts(requestSubject, 'process'));
  }

  /** Starts the span of the request of a command at an ingest node. */
  sent({ traceparent }: Pick<Command, 'traceparent'>): Span {
    if (traceparent === '') return noSpan;
    return this.#span(`send ${commandSubject}`, traceparent, 'producer', this.#facts(commandSubject, 'send'));
  }

  /** Records that a command has changed by outcomes; `ageMs`: since the first of them was applied. */
  changed({ traceparent, state, isFinal, code }: Command, ageMs: number): void {
    if (traceparent === '') return;
    const attributes = { 'tailrace.command.state': state, 'tailrace.command.final': isFinal };
    const facts = { ...this.#facts(outcomeSubject, 'process'), ...attributes };
    const span = this.#span(`process ${outcomeSubject}`, traceparent, 'consumer', facts, ageMs);
    if (code !== '') span.set('tailrace.command.code', code);
    span.end();
  }

  #span(
    name: string,
    traceparent: string,
    kind: 'server' | 'producer' | 'consumer',
    attributes: SpanAttributes,
    ageMs?: number,
  ): Span {
    const { tracing } = this.#options;
    const parent = traceparent === '' ? undefined : traceparent;
    if (!tracing.enabled || !tracing.sampled(parent)) return noSpan;
    return tracing.span(name, attributes, { kind, parent, ...(ageMs === undefined ? {} : { ageMs }) });
  }

  #facts(destination: string, operation: 'send' | 'process'): SpanAttributes {
    return {
      'messaging.system': this.#options.system ?? 'tailrace',
      'messaging.destination.name': destination,
      'messaging.operation.name': operation,
      'messaging.operation.type': operation,
    };
  }
}
