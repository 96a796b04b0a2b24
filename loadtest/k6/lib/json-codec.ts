import type { DataSink, NamedRange, Wish, Word } from './messages.ts';
import type { Channel } from './plant.ts';

interface JsonDelivery {
  readonly device: string;
  readonly partition: number;
  readonly seq: number;
  readonly time: number;
  readonly readings: readonly { readonly value: unknown }[];
}

interface JsonData {
  readonly reports: readonly JsonDelivery[];
  readonly snapshot?: boolean;
  readonly skipped?: readonly (Omit<NamedRange, 'device'> & { readonly device?: string })[];
}

const kinds = ['welcome', 'subscribed', 'pong', 'draining', 'moved', 'error'] as const;
const noneNamed: readonly NamedRange[] = [];

/** `tailrace.v1.json`: text frames. What browsers do; costs k6 several times as much as Protobuf. */
export const jsonCodec = {
  subprotocol: 'tailrace.v1.json',

  frameOf(wish: Wish): string {
    return JSON.stringify(wish);
  },

  read(frame: string | ArrayBuffer, channel: Channel, sink: DataSink): Word | undefined {
    if (typeof frame !== 'string') throw new Error('the server sent a binary frame; JSON was agreed');
    const message = JSON.parse(frame) as Record<string, unknown>;
    if ('data' in message) {
      readData(message['data'] as JsonData, channel, sink);
      return undefined;
    }
    if ('subscribed' in message) {
      const { epoch, position, recovered, missing } = message['subscribed'] as {
        epoch: string;
        position: string;
        recovered?: boolean;
        missing?: readonly NamedRange[];
      };
      return {
        subscribed: { epoch, position, recovered, missing: (missing ?? []).map((each) => ({ ...each, device: '' })) },
      };
    }
    return kinds.some((kind) => kind in message) ? (message as Word) : undefined;
  },
};

function readData({ reports, snapshot, skipped }: JsonData, channel: Channel, sink: DataSink): void {
  const named = skipped?.map((each) => ({ ...each, device: each.device ?? '' })) ?? noneNamed;
  sink.frame(snapshot === true, named);
  for (const { device, partition, seq, time, readings } of reports) {
    const n = readings.find(({ value }) => typeof value === 'number')?.value;
    sink.report(channel.indexOf(device), partition, seq, Number(n), time);
  }
}
