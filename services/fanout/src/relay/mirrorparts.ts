import type { Bus } from '@tailrace/bus/bus';
import type { Histogram } from '@tailrace/platform/measures';
import type { Span } from '@tailrace/platform/tracing';
import type { WorkScheduler } from '../catchup/work-scheduler.ts';
import type { Channel } from '../channels/channel.ts';
import type { FanoutSpans } from '../spans.ts';
import type { AskerParts } from './asker.ts';

export interface MirrorCounts {
  frames: number;
  /** Frames that do not parse, or come from somebody who is not the owner as far as this node knows: dropped. */
  foreign: number;
  /** Times that a frame did not follow on the one before, or none came. */
  breaks: number;
  asks: number;
  askFailures: number;
  askSeconds: Histogram;
  /** Of the oldest report of a frame, when it goes out to clients here. A metric may put its own in the place of both. */
  ageSeconds: Histogram;
}

export interface MirrorParts
  extends Omit<AskerParts, 'onAnswer' | 'decode' | 'partition' | 'counts' | 'listening' | 'bus'> {
  readonly bus: Pick<Bus, 'request' | 'subscribe'>;
  readonly epoch: string;
  readonly counts: MirrorCounts;
  /** An owner sends a frame a second at least; after this long without one it is asked again. */
  readonly silenceMs: number;
  /** Frames kept while an answer is under way. Beyond it they are dropped, and the owner is asked again. */
  readonly heldBytesMax: number;
  readonly channels: (partition: number) => Iterable<Channel>;
  readonly find: (pattern: string) => Channel | undefined;
  /** For what owners answer. */
  readonly work: Pick<WorkScheduler, 'queue'>;
  readonly spans: Pick<FanoutSpans, 'frame'>;
  /** Sends what the views have gathered, caused by this span. */
  readonly flush: (cause: Span) => void;
}
