import type { NewRecord } from '@tailrace/eventlog/event-log';
import type { CloseName } from '@tailrace/protocol/close';
import type { ErrorCode, TailraceError } from '@tailrace/protocol/error';
import type { DeliveredCommand } from './device-command.ts';
import type { MessageToken } from './device-message.ts';

/** What the log has refused for good. Valid within the call. */
export type RefusedRecord = Pick<NewRecord, 'key' | 'value'>;

/** What became of a message: it is in the log, was in the log before, or is not known to be. */
export type Outcome = 'accepted' | 'duplicate' | TailraceError;

/** What became of the messages of a batch. */
export interface BatchOutcome {
  /** Messages that are in the log. */
  readonly accepted: number;
  readonly rejected: readonly BatchRejection[];
  /** The first error, of a retryable one if there is any; undefined if none was rejected. */
  readonly error: TailraceError | undefined;
}

export interface BatchRejection {
  readonly index: number;
  /** '' for none. */
  readonly id: string;
  readonly code: ErrorCode;
  readonly message: string;
}

/** What a device learns about its session. */
export interface Welcome {
  /** Rises with each session of the device. */
  readonly session: number;
  readonly device: string;
  /** The session that this one replaced. */
  readonly replaced: { readonly address: string; readonly openedMs: number } | undefined;
  /** When the token expires, epoch ms; undefined for never. */
  readonly expiresAt: number | undefined;
  /** Whether the last session of the device was on another node: what is kept of the client here is out of date. */
  readonly isMoved: boolean;
  /** What the protocol has kept of the client on that node; undefined for nothing. */
  readonly clientState: Uint8Array | undefined;
}

/**
 * The port of a session to the protocol of its device. A call after the connection is lost has no effect.
 *
 * The session does not pause for `close`: the protocol resumes reading where its socket needs that to close.
 */
export interface ProtocolPort {
  /**
   * Whether a message can be refused for now, so that its device sends it again. Where it cannot, such a message stays
   * in the window until the log has it, and the session is not read beyond its rates.
   */
  readonly canDelay: boolean;
  /** Sent when the session is live, and again for each renewed token. */
  welcome(welcome: Welcome): void;
  acknowledge(token: MessageToken, outcome: 'accepted' | 'duplicate'): void;
  /**
   * Refuses a message. `token` undefined: of an error that answers no single message. 0 ms: retry at once, if at all.
   * `record`: where it was the log that refused it.
   */
  refuse(token: MessageToken | undefined, error: TailraceError, retryAfterMs: number, record?: RefusedRecord): void;
  /** Answers a batch of which some messages were rejected. */
  acknowledgeBatch(token: MessageToken, outcome: BatchOutcome, retryAfterMs: number): void;
  /** Warns that the token expires. */
  expiring(inMs: number): void;
  /** Announces that the server closes the session after this time. */
  draining(afterMs: number): void;
  /** Reads no further messages until `resume`. */
  pause(): void;
  resume(): void;
  /** Whether the device takes commands now. */
  readonly takesCommands: boolean;
  /**
   * Sends a command. Returns false if too much waits for the device: nothing was sent, and it is tried again until its
   * deadline. May call `commandReceived` or `commandReplied` of the session within the call. A command whose receipt
   * was not confirmed is sent again, with the same ID.
   */
  deliverCommand(command: DeliveredCommand): boolean;
  /** Sends what waits: called after the acknowledgements of one turn. */
  flush(): void;
  /** `bye`: as the device requested. `error`: sent before, for people. */
  close(reason: CloseName | 'bye', error: TailraceError | undefined): void;
  /** Bytes that wait for the device. */
  readonly bufferedBytes: number;
}
