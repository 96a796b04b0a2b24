import { noSpan, type Span, type Tracing } from '@tailrace/platform/tracing';
import type { CommandOutcome, CommandRequest, DeviceCommand } from '@tailrace/protocol/device-command';
import type { SessionProtocol } from '../devices/device-metrics.ts';

/*
 * Names, kinds and attributes of the spans are those of OpenTelemetry:
 * https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/.
 */

const subject = 'tailrace.v1.command';

export interface CommandTracingOptions {
  readonly tracing: Pick<Tracing, 'enabled' | 'sampled' | 'span'>;
  /** Of the bus; undefined: within this process. */
  readonly system: string | undefined;
}

/** Traces commands that have the trace of their requester: the request, and from the device's turn to its report. */
export class CommandTracing {
  readonly #options: CommandTracingOptions;

  constructor(options: CommandTracingOptions) {
    this.#options = options;
  }

  /** Calls `reply` with the request, whose command has the span as its trace then. Returns what it returns. */
  request(request: CommandRequest, reply: (request: CommandRequest) => CommandOutcome): CommandOutcome {
    if (!('command' in request)) return reply(request);
    const { command } = request;
    const span = this.#span(`process ${subject}`, command, 'consumer', {
      'messaging.system': this.#options.system ?? 'tailrace',
      'messaging.destination.name': subject,
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
    });
    if (span === noSpan) return reply(request);
    try {
      const outcome = reply({ command: { ...command, traceparent: span.traceparent } });
      span.set('tailrace.command.state', outcome.state);
      return outcome;
    } catch (error) {
      span.fail(error);
      throw error;
    } finally {
      span.end();
    }
  }

  /** Starts the span of a command that is written to its device. `finished` is called at its outcome. */
  sent(command: DeviceCommand, protocol: SessionProtocol): Span {
    return this.#span(`send ${protocol}`, command, 'producer', {
      'messaging.system': protocol,
      'messaging.operation.name': 'send',
      'messaging.operation.type': 'send',
    });
  }

  /** Stops the span of a command with its outcome. */
  finished(span: Span, { state, code, attempt }: Pick<CommandOutcome, 'state' | 'code' | 'attempt'>): void {
    span.set('tailrace.command.state', state);
    span.set('tailrace.command.attempts', attempt);
    if (code !== undefined) span.set('tailrace.command.code', code);
    span.end();
  }

  #span(
    name: string,
    { traceparent }: Pick<DeviceCommand, 'traceparent'>,
    kind: 'consumer' | 'producer',
    attributes: Readonly<Record<string, string>>,
  ): Span {
    const { tracing } = this.#options;
    if (!tracing.enabled || traceparent === '' || !tracing.sampled(traceparent)) return noSpan;
    return tracing.span(name, attributes, { kind, parent: traceparent });
  }
}
