import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { createInbox, type Inbox } from './eventually.ts';

type Value = string | number | boolean | undefined;
type Facts = Readonly<Record<string, Value>>;

/** A span as a collector sees it. */
export interface ReceivedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string | undefined;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  readonly attributes: Facts;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly failed: boolean;
  /** The message of the status. */
  readonly message: string | undefined;
  /** Of the process that sent it. */
  readonly resource: Facts;
}

/**
 * A collector in this process: receives traces by OTLP/HTTP as JSON, which the services send, and keeps every span.
 */
export interface OtlpReceiver {
  /** For `tracingUrl`. */
  readonly url: string;
  /** In the order in which they were received, which is that of their `span.end()`. */
  readonly spans: Inbox<ReceivedSpan>;
  stop(): Promise<void>;
}

/** `status`: of its responses. */
export async function startOtlpReceiver({ status = 200 } = {}): Promise<OtlpReceiver> {
  const spans = createInbox<ReceivedSpan>();
  const server = createServer(async (request, response) => {
    const body = JSON.parse(await text(request)) as OtlpTraces;
    for (const { resource, scopeSpans } of body.resourceSpans) {
      for (const { spans: sent } of scopeSpans) for (const span of sent) spans.put(received(span, resource));
    }
    response.writeHead(status, { 'Content-Type': 'application/json' }).end('{}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`,
    spans,
    async stop() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** The part of https://github.com/open-telemetry/opentelemetry-proto that is read. */
interface OtlpTraces {
  readonly resourceSpans: readonly {
    readonly resource: Attributes;
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[];
  }[];
}

interface Attributes {
  readonly attributes: readonly { readonly key: string; readonly value: Readonly<Record<string, Value>> }[];
}

interface OtlpSpan extends Attributes {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly kind: number;
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly status?: { readonly code?: number; readonly message?: string };
}

const failedCode = 2;

function received(span: OtlpSpan, resource: Attributes): ReceivedSpan {
  const { name, traceId, spanId, parentSpanId, kind, links = [], status = {} } = span;
  return {
    ...{ name, traceId, spanId, parentSpanId: parentSpanId || undefined, kind },
    attributes: factsFrom(span),
    links: links.map((link) => ({ traceId: link.traceId, spanId: link.spanId })),
    failed: status.code === failedCode,
    message: status.message,
    resource: factsFrom(resource),
  };
}

/** `{ stringValue: 'a' }` becomes `'a'`, and so on for the other kinds of one value. */
function factsFrom({ attributes }: Attributes): Facts {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}
