import { shown, TailraceError } from './error.ts';

/**
 * Bounds of a device path. 200 bytes fit a NATS subject, a Kafka key and a log line; 8 levels are site, area, line …
 */
export const pathLimits = { segmentsMax: 8, segmentBytesMax: 64, bytesMax: 200 } as const;

const dot = 0x2e;

/** 1 for the bytes of `A-Za-z0-9_-`. */
const segmentBytes: Uint8Array = Uint8Array.from({ length: 128 }, (_, code) =>
  /[A-Za-z0-9_-]/.test(String.fromCharCode(code)) ? 1 : 0,
);

/** Returns why the first `length` characters are not a device path; undefined where they are. */
export function invalidPathReason(text: string, length: number = text.length): string | undefined {
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
 * Asserts a device path, such as `plant1.line3.press7`: 1 to 8 segments of `A-Z a-z 0-9 _ -`, 1 to 64 bytes each,
 * joined by dots; at most 200 bytes. Throws `invalid_path`. Hot: called for each report.
 */
export function assertDevicePath(value: unknown): asserts value is string {
  const reason = typeof value === 'string' ? invalidPathReason(value) : 'it is not a string';
  if (reason === undefined) return;
  throw new TailraceError(
    'invalid_path',
    'device path: expected 1 to 8 segments of 1 to 64 letters, digits, "_" or "-", joined by ".", at most 200 bytes, ' +
      `as in "plant1.line3.press7", got ${shown(value)}: ${reason}`,
  );
}

export function isDevicePath(value: unknown): value is string {
  return typeof value === 'string' && invalidPathReason(value) === undefined;
}

/** Returns the first segment of a device path, or of a pattern that has one: the tenant of the device. */
export function tenantOf(path: string): string {
  const end = path.indexOf('.');
  return end === -1 ? path : path.slice(0, end);
}

/** Converts `plant1.line3.press7` to `plant1/line3/press7`. Expects a valid path. */
export function mqttTopicFromPath(path: string): string {
  return path.replaceAll('.', '/');
}

/**
 * Converts `plant1/line3/press7` to `plant1.line3.press7`. Throws `invalid_path` where the result is not a device path,
 * and for a topic with a dot, because two topics would name one device.
 */
export function pathFromMqttTopic(topic: string): string {
  if (topic.includes('.')) {
    throw new TailraceError(
      'invalid_path',
      `MQTT topic: expected "/" between the segments of a device path, as in "plant1/line3/press7", got ${shown(topic)}, which contains "."`,
    );
  }
  // Truncated first: a hostile topic has up to 64 KiB, and one character over the limit is as invalid.
  const path = topic.slice(0, pathLimits.bytesMax + 1).replaceAll('/', '.');
  assertDevicePath(path);
  return path;
}
