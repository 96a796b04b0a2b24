import type { TailraceError } from '@tailrace/protocol/error';
import type { Report } from '@tailrace/protocol/report';

/** The handle by which a protocol answers a message: a message ID, or a packet ID. */
export type MessageToken = string | number;

/** What a session counts before it reads a message. */
interface IncomingMessage {
  /** The path of the device that it is from: the one of the session, or one behind a gateway. Valid. */
  readonly device: string;
  readonly token: MessageToken;
  /** By which a repetition is recognized; '' for none. */
  readonly id: string;
  /** Whether its sender states that it has sent it before. */
  readonly isRepetition: boolean;
  /** 0: is not acknowledged. 1 and 2 are served alike. */
  readonly qos: 0 | 1 | 2;
  readonly isEvent: boolean;
  /** As received. */
  readonly bytes: number;
  /** Monotonic ms: the deadline of its answer counts from it. */
  readonly receivedMs: number;
  /** W3C Trace Context; '' for none. */
  readonly traceparent: string;
}

/** A message of a device, in any protocol. */
export interface DeviceMessage extends IncomingMessage {
  /**
   * Returns its report. Throws `invalid_report`, `invalid_path` and `invalid_message`. Called only for a message within
   * the limits of its device, so that a refused one costs no parsing.
   */
  report(): Report;
}

/** Several messages with one acknowledgement. */
export interface DeviceBatch extends IncomingMessage {
  /** At least 1. */
  readonly count: number;
  /**
   * Returns the number of messages by their device, as they name it: neither valid nor covered. Undefined: all are from
   * `device`. The rate of a gateway is that of its devices.
   */
  devices(): ReadonlyMap<string, number> | undefined;
  /** Returns its messages in order. Called at most once, as `report` is. */
  messages(): readonly (DeviceMessage | InvalidMessage)[];
}

/** A message of a batch that cannot be read. */
export interface InvalidMessage {
  /** '' for none. */
  readonly id: string;
  readonly error: TailraceError;
}

/** Counts devices. Returns undefined if all are the one of their sender. */
export function countedDevices(devices: Iterable<string>, own: string): ReadonlyMap<string, number> | undefined {
  let counts: Map<string, number> | undefined;
  let ofOwn = 0;
  for (const device of devices) {
    if (device === own) ofOwn++;
    else {
      counts ??= new Map();
      counts.set(device, (counts.get(device) ?? 0) + 1);
    }
  }
  if (ofOwn > 0) counts?.set(own, ofOwn);
  return counts;
}

export function isBatch(message: DeviceMessage | DeviceBatch): message is DeviceBatch {
  return 'count' in message;
}
