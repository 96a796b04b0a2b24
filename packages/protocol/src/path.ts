import { shown, TailraceError } from './error.ts';

/** Bounds of a device path. 200 bytes fit a NATS subject, a Kafka key and a log line; 8 levels are site, area, line … signal. */
export const pathLimits = { segmentsMax: 8, segmentBytesMax: 64, bytesMax: 200 } as const;

const dot = 0x2e;

/** 1 for the bytes of `A-Za-z0-9_-`. */
const segmentBytes: Uint8Array = Uint8Array.from({ length: 128 }, (_, code) =>
  /[A-Za-z0-9_-]/.test(String.fromCharCode(code)) ? 1 : 0,
);

/** What is wrong with the text as a device path, or undefined. The first `length` characters are looked at. */
export function pathFault(text: string, length: number = text.length): string | undefined {
  if (length === 0) return 'it is empty';
  if (length > pathLimits.bytesMax) return `it has ${length} characters`;
  let segments = 1;
  let start = 0;
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index);
    if (code === dot) {
      if (index === start) return `segment ${segments} is empty`;
      start = index + 1;
      segments++;
    } else if (code >= 128 || segmentBytes[code] === 0) {
      return `it contains ${shown(text.charAt(index))}`;
    } else if (index - start >= pathLimits.segmentBytesMax) {
      return `segment ${segments} is too long`;
    }
  }
  if (start === length) return `segment ${segments} is empty`;
  return segments > pathLimits.segmentsMax ? `it has ${segments} segments` : undefined;
}

/**
 * A device path: `plant1.line3.press7`. 1 to 8 segments of `A-Z a-z 0-9 _ -`, 1 to 64 bytes each, joined by dots; at most
 * 200 bytes. Throws `invalid_path`. Hot: called once a report.
 */
export function assertDevicePath(value: unknown): asserts value is string {
  const fault = typeof value === 'string' ? pathFault(value) : `it is ${value === null ? 'null' : typeof value}`;
  if (fault === undefined) return;
  throw new TailraceError(
    'invalid_path',
    `${shown(value)} is not a device path: ${fault}; right is 1 to 8 segments of 1 to 64 letters, digits, "_" or "-", ` +
      'joined by ".", at most 200 bytes, as in "plant1.line3.press7"',
  );
}

export function isDevicePath(value: unknown): value is string {
  return typeof value === 'string' && pathFault(value) === undefined;
}

/** The first segment of a device path (or of a pattern that has one): whose device it is. */
export function tenantOf(path: string): string {
  const end = path.indexOf('.');
  return end === -1 ? path : path.slice(0, end);
}

/** `plant1.line3.press7` → `plant1/line3/press7`. The path is a checked one. */
export function mqttTopicFromPath(path: string): string {
  return path.replaceAll('.', '/');
}

/**
 * `plant1/line3/press7` → `plant1.line3.press7`. Throws `invalid_path` for anything that is no device path then; a topic with a
 * dot in it too, because two topics would name one device.
 */
export function pathFromMqttTopic(topic: string): string {
  if (topic.includes('.')) {
    throw new TailraceError(
      'invalid_path',
      `the MQTT topic ${shown(topic)} contains "."; right is a device path with "/" between its segments, as in "plant1/line3/press7"`,
    );
  }
  // Cut first: a hostile topic is up to 64 KiB long, and one character over the limit is as wrong.
  const path = topic.slice(0, pathLimits.bytesMax + 1).replaceAll('/', '.');
  assertDevicePath(path);
  return path;
}
