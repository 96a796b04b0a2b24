import { TailraceError } from '@tailrace/protocol/error';
import {
  createContext,
  createElement,
  type ReactElement,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useRef,
  useState,
  useSyncExternalStore,
} from 'react';
import { nothingYet, ReadingStore, type ShownReading } from './reading-store.ts';
import type { StreamState, SubscriptionState } from './state.ts';
import type { Stream } from './stream.ts';
import type { SubscribeOptions } from './subscription.ts';

export type { ShownReading } from './reading-store.ts';

const StreamContext = createContext<Stream | undefined>(undefined);

/** One for each stream, for as long as the stream is there. */
const stores = new WeakMap<Stream, ReadingStore>();

function storeOf(stream: Stream): ReadingStore {
  const store = stores.get(stream) ?? new ReadingStore(stream);
  stores.set(stream, store);
  return store;
}

export interface TailraceProviderProps {
  /** Made once, outside of components, and closed by whoever made it: a connection outlives what is on the screen. */
  readonly stream: Stream;
  readonly children?: ReactNode;
}

/** Gives the stream to the components below. */
export function TailraceProvider({ stream, children }: TailraceProviderProps): ReactElement {
  return createElement(StreamContext.Provider, { value: stream }, children);
}

/** The stream of the provider above. Throws `invalid_config` where there is none. */
export function useStream(): Stream {
  const stream = useContext(StreamContext);
  if (stream === undefined) {
    throw new TailraceError(
      'invalid_config',
      'no <TailraceProvider stream={…}> is above this component; put one around it',
    );
  }
  return stream;
}

/** The state of the connection. Renders at its changes. */
export function useConnection(): StreamState {
  const stream = useStream();
  const subscribe = useCallback((listener: () => void) => stream.onState(listener), [stream]);
  const read = () => stream.state;
  return useSyncExternalStore(subscribe, read, read);
}

const waiting: SubscriptionState = { name: 'waiting' };

/**
 * Subscribes while the component is there. Renders at changes of the subscription's state, never at reports: those go to the listeners, of which the
 * last ones given count. Another channel or another view subscribes anew; other listeners do not. Undefined for the channel: nothing.
 */
export function useSubscription(channel: string | undefined, options: SubscribeOptions = {}): SubscriptionState {
  const stream = useStream();
  const [state, setState] = useState<SubscriptionState>(waiting);
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  const { snapshot, after, from, speed, maxRate, deadband, tags, delta, align } = options;
  const view = JSON.stringify({ snapshot, after, from, speed, maxRate, deadband, tags, delta, align });
  useEffect(() => {
    setState(waiting);
    if (channel === undefined) return undefined;
    let isHere = true;
    const subscription = stream.subscribe(channel, {
      ...(JSON.parse(view) as SubscribeOptions),
      onSnapshot: (reports) => latest.current.onSnapshot?.(reports),
      onSnapshotComplete: () => latest.current.onSnapshotComplete?.(),
      onReports: (reports) => latest.current.onReports?.(reports),
      onSkipped: (skipped) => latest.current.onSkipped?.(skipped),
      onCut: (cut) => latest.current.onCut?.(cut),
      onPresence: (presence) => latest.current.onPresence?.(presence),
      onState: (next) => {
        if (!isHere) return;
        setState(next);
        latest.current.onState?.(next);
      },
    });
    // A closed stream notifies of nothing more.
    if (subscription.state.name !== 'waiting') setState(subscription.state);
    return () => {
      isHere = false;
      subscription.unsubscribe();
    };
  }, [stream, channel, view]);
  return state;
}

/**
 * The last reading of a tag. Renders when it changes, at most once a frame, however often the device reports; components that look at the same device
 * share one subscription.
 */
export function useReading(device: string, tag: string): ShownReading {
  const store = storeOf(useStream());
  const subscribe = useCallback((listener: () => void) => store.watch(device, listener), [store, device]);
  return useSyncExternalStore(
    subscribe,
    () => store.read(device, tag),
    () => nothingYet,
  );
}
