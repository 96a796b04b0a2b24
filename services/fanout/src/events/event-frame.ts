import type { AlarmEvent, CommandEvent, LeaseEvent } from '@tailrace/protocol/control-event-json';
import { type ServerMessage, serverMessageBytes, serverMessageJson } from '@tailrace/protocol/server-message';
import type { Encoding } from '../views/view-options.ts';
import type { ControlEvent } from './control-event.ts';

/** Events in one frame at most: some 60 KB of alarms. */
const eventsPerFrameMax = 100;

/** What the events of a frame are. `request`: of the client that the frame is for alone. */
export interface EventFrameOptions {
  readonly view: number;
  readonly isSnapshot?: boolean;
  readonly request?: string;
}

type MessageKind = 'alarm' | 'command' | 'lease';

/** Encodes events in their order, as few messages as possible. The last one of a snapshot is marked. */
export function* eventFrames(
  encoding: Encoding,
  events: readonly ControlEvent[],
  options: EventFrameOptions,
): Iterable<string | Uint8Array> {
  const { isSnapshot = false, view, request } = options;
  for (let from = 0; from < events.length; ) {
    const kind = messageKindOf(events[from]!);
    let to = from + 1;
    while (to < events.length && to - from < eventsPerFrameMax && messageKindOf(events[to]!) === kind) to++;
    const message = {
      [kind]: {
        view,
        events: events.slice(from, to).map(deliveredFrom),
        ...(isSnapshot ? { snapshot: true } : {}),
        ...(isSnapshot && to === events.length ? { snapshotComplete: true } : {}),
        ...(request === undefined ? {} : { request }),
      },
    } as unknown as ServerMessage;
    yield encoding === 'json' ? serverMessageJson(message) : serverMessageBytes(message);
    from = to;
  }
}

function messageKindOf({ kind }: ControlEvent): MessageKind {
  return kind === 'refused' ? 'alarm' : kind;
}

function deliveredFrom(event: ControlEvent): AlarmEvent | CommandEvent | LeaseEvent {
  const { partition, seq } = event;
  const position = seq === undefined ? { partition } : { partition, seq };
  if (event.kind === 'refused') return { ...position, refused: event.refused };
  return { ...position, transition: event.transition } as AlarmEvent | CommandEvent | LeaseEvent;
}
