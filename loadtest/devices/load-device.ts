/** A report of the load. A device numbers its reports 1, 2, 3 …, so that a lost one is found by its number. */
export interface LoadReport {
  readonly counter: number;
  /** When it was to be sent, monotonic ms: a report that waits for the window of the device waits from here. */
  readonly dueMs: number;
  /** When it was sent last, monotonic ms. */
  sentMs: number;
}

/** What a device reports to the load. */
export interface LoadDeviceHandlers {
  /** The server has taken the report; with `code`, it has refused it, and the device does not send it again. */
  acknowledged(report: LoadReport, code: string | undefined): void;
  /** The device may send again: a window was full, or the device was not connected. */
  writable(): void;
  /** These have no acknowledgment, and are to be sent again before all others. */
  lost(reports: readonly LoadReport[]): void;
  /** A connection was lost. The device connects again by itself. */
  disconnected(): void;
}

/** A simulated device on its protocol. */
export interface LoadDevice {
  /** Resolves when it may send. Rejects if the server refuses it. Called once. */
  connect(): Promise<void>;
  /** Returns whether the report was taken: not while the window is full or the connection is lost. */
  send(report: LoadReport): boolean;
  close(): Promise<void>;
}

/** What the devices of a load have in common. */
export interface LoadDeviceOptions {
  /** Of MQTT `mqtt://host:port`, of WebSockets `ws://host:port`. */
  readonly url: string;
  readonly token: string;
  /** The path of the device. */
  readonly device: string;
  /** In a report: the counter, and further ones. */
  readonly readings: number;
  /** Whether reports have IDs, so that one that was sent twice is delivered once. */
  readonly hasIds: boolean;
  /** Reports without an acknowledgment of one device. */
  readonly inFlightMax: number;
}

/** The tag of the counter. */
export const counterTag = 'n';

export function readingsOf(counter: number, count: number): { tag: string; value: number }[] {
  const readings = [{ tag: counterTag, value: counter }];
  for (let index = 1; index < count; index++) readings.push({ tag: `t${index}`, value: 20 + index / 8 });
  return readings;
}

export function idOf(device: string, counter: number): string {
  return `${device}-${counter}`;
}
