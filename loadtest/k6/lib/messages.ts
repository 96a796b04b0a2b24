/** What a client of docs/PROTOCOL.md sends and is sent, as far as a load test goes. */

/** To the server. */
export type Wish =
  | { readonly auth: { readonly token: string } }
  | { readonly subscribe: { readonly id: string; readonly channel: string; readonly after?: string } }
  | { readonly ping: { readonly t: number } };

/** Positions that cannot be delivered, or are told by their sum only. */
export interface NamedRange {
  readonly partition: number;
  /** Empty: of every device in the partition. */
  readonly device: string;
  readonly from: number;
  /** Inclusive. */
  readonly to: number;
  readonly reason: string;
}

/** From the server, but for `data`, which goes to a sink report by report. */
export type Word =
  | { readonly welcome: { readonly node: string; readonly version: string } }
  | {
      readonly subscribed: {
        readonly epoch: string;
        readonly position: string;
        readonly recovered: boolean | undefined;
        readonly missing: readonly NamedRange[];
      };
    }
  | { readonly pong: { readonly t: number; readonly time: number } }
  | { readonly draining: { readonly afterMs: number } }
  | { readonly moved: { readonly url: string } }
  | { readonly error: { readonly code: string; readonly message: string; readonly retryable: boolean } };

/** Gets what is in a `data` message. Marks and named ranges come before the reports, whatever their order on the wire. */
export interface DataSink {
  frame(isSnapshot: boolean, named: readonly NamedRange[]): void;
  /** Of a device by its number in the channel, or -1 of one that is not in there; `n` is the number of the first reading, `time` epoch ms. */
  report(device: number, partition: number, seq: number, n: number, time: number): void;
}
