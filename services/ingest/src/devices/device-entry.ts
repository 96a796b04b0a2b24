import type { TailraceError } from '@tailrace/protocol/error';
import { IntakeEntry } from '../intake/intake-entry.ts';
import type { MessageTrace } from '../intake/message-tracing.ts';
import type { DeviceBatch, MessageToken } from './device-message.ts';
import type { DeviceRecord, PendingMessage, PendingWaiter } from './device-record.ts';
import type { BatchOutcome, BatchRejection } from './protocol-port.ts';

/** What a session counts against its window until it is answered: a message, or a batch as a whole. */
export interface WindowItem extends PendingMessage {
  /** Message ID; '' for none. */
  readonly id: string;
  /** As received. */
  readonly bytes: number;
  /** When it was received, monotonic ms. */
  readonly startedMs: number;
  isInWindow: boolean;
  /** Of a message that is sampled. */
  readonly trace: MessageTrace | undefined;
}

/** A message of a session on its way to the log: alone, or one of a batch. */
export class DeviceEntry extends IntakeEntry<DeviceRecord> implements WindowItem {
  waiter: PendingWaiter | undefined = undefined;
  ackToken: MessageToken = '';
  isInWindow = false;
  /** Undefined: it is acknowledged alone. */
  batch: BatchEntry | undefined = undefined;
  /** In its batch. */
  index = 0;
  /** Of its report. */
  readings = 0;
  isClockAhead = false;
}

/** A batch: answered when the log has settled all its messages. */
export class BatchEntry implements WindowItem {
  waiter: PendingWaiter | undefined = undefined;
  ackToken: MessageToken;
  isInWindow = false;
  readonly id: string;
  readonly bytes: number;
  readonly startedMs: number;
  trace: MessageTrace | undefined = undefined;
  /** Messages that the log has not settled. */
  unsettled = 0;
  accepted = 0;
  readonly rejected: BatchRejection[] = [];
  /** The first error, of a retryable one if there is any. */
  #error: TailraceError | undefined;

  constructor({ id, token, bytes, receivedMs }: DeviceBatch) {
    this.id = id;
    this.ackToken = token;
    this.bytes = bytes;
    this.startedMs = receivedMs;
  }

  reject(index: number, id: string, error: TailraceError): void {
    const { code, message } = error;
    this.rejected.push({ index, id, code, message });
    if (this.#error === undefined || (error.retryable && !this.#error.retryable)) this.#error = error;
  }

  outcome(): BatchOutcome {
    return { accepted: this.accepted, rejected: this.rejected, error: this.#error };
  }
}
