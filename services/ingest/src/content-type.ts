import { shown, TailraceError } from '@tailrace/protocol/error';
import type { Format } from './reports.ts';

const formats: Readonly<Record<string, Format>> = {
  'application/json': 'json',
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'application/jsonl': 'ndjson',
  'application/x-protobuf': 'protobuf',
  'application/protobuf': 'protobuf',
};

/** The first content type of each format, for messages. */
const formatsText =
  'application/json (one report or an array), application/x-ndjson (one report on each line) or application/x-protobuf (a tailrace.v1.ReportBatch or IoTData)';

/** The messages that the parameter `proto` of a Protobuf content type can name, in lower case. */
const protoFormats: Readonly<Record<string, Format>> = {
  'tailrace.v1.reportbatch': 'report-batch',
  'tailrace.v1.iotdata': 'iot-data',
  'tailrace.v1.iotdatabatch': 'iot-data-batch',
};

/** Returns the format of a content type; JSON for none, as small devices send. Throws `invalid_message`. */
export function formatFrom(contentType: string): Format {
  if (contentType === '') return 'json';
  const [type = '', ...parameters] = contentType.toLowerCase().split(';');
  const format = Object.hasOwn(formats, type.trim()) ? formats[type.trim()] : undefined;
  if (format === undefined)
    throw new TailraceError('invalid_message', `Content-Type: expected ${formatsText}, got ${shown(contentType)}`);
  const charset = parameterOf(parameters, 'charset');
  // RFC 8259 section 8.1: JSON that leaves a closed system is UTF-8.
  if (charset !== undefined && !/^utf-?8$/.test(charset))
    throw new TailraceError('invalid_message', `Content-Type: expected charset=utf-8, got ${shown(charset)}`);
  const proto = format === 'protobuf' ? parameterOf(parameters, 'proto') : undefined;
  return proto === undefined ? format : protoFormatFrom(proto);
}

function protoFormatFrom(proto: string): Format {
  const format = Object.hasOwn(protoFormats, proto) ? protoFormats[proto] : undefined;
  if (format !== undefined) return format;
  const expected = 'tailrace.v1.ReportBatch, tailrace.v1.IoTData or tailrace.v1.IoTDataBatch';
  throw new TailraceError('invalid_message', `Content-Type: expected proto=${expected}, got ${shown(proto)}`);
}

/** Returns the value of the first parameter of that name, without quotes (RFC 9110 section 5.6.6). */
function parameterOf(parameters: readonly string[], name: string): string | undefined {
  for (const parameter of parameters) {
    const [found = '', value = ''] = parameter.split('=', 2);
    if (found.trim() === name) return value.trim().replace(/^"(.*)"$/, '$1');
  }
  return undefined;
}
