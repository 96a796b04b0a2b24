import { noSpan, type Span, type Tracing } from '@tailrace/platform/tracing';

/*
 * The spans of one request. Names, kinds and attributes are OpenTelemetry's: https://opentelemetry.io/docs/specs/semconv/http/http-spans/ and
 * https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/.
 */

const requestFacts = {
  'http.request.method': 'POST',
  'http.route': '/v1/ingest',
  'url.path': '/v1/ingest',
  'url.scheme': 'http',
};

/** From the head of a request to its answer. `traceparent`: the header's text, empty where there is none: a sender that traces is followed. */
export function requestSpan(tracing: Tracing, traceparent: string): Span {
  if (!tracing.enabled) return noSpan;
  const parent = traceparent === '' ? undefined : traceparent;
  if (!tracing.sampled(parent)) return noSpan;
  return tracing.span('POST /v1/ingest', requestFacts, { parent, kind: 'server' });
}

/** What a server span says of the end: only faults of the server mark it as failed. */
export function answerRequest(span: Span, status: number, outcome: string): void {
  if (span === noSpan) return;
  span.set('http.response.status_code', status);
  span.set('tailrace.outcome', outcome);
}

/** From the handing over of a request's records to the log's answer, the wait for others to go along with included. What reads them links to it. */
export function appendSpan(
  tracing: Tracing,
  request: Span,
  to: { readonly system: string | undefined; readonly topic: string; readonly records: number },
): Span {
  if (request === noSpan) return noSpan;
  const facts = {
    'messaging.system': to.system ?? 'tailrace',
    'messaging.operation.name': 'send',
    'messaging.operation.type': 'send',
    'messaging.destination.name': to.topic,
    'messaging.batch.message_count': to.records,
  };
  return tracing.span(`send ${to.topic}`, facts, { parent: request.traceparent, kind: 'producer' });
}
