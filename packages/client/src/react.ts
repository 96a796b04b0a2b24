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
import { type LatestReading, noReading, ReadingStore } from './reading-store.ts';
import type { StreamState, SubscriptionState } from './state.ts';
import type { Stream } from './stream.ts';
import type { SubscribeOptions } from './subscription.ts';

export type { LatestReading } from './reading-store.ts';

const StreamContext = createContext<Stream | undefined>(undefined);

/** One store per stream, which lives as long as the stream. */
const stores = new WeakMap<Stream, ReadingStore>();

function storeOf(stream: Stream): ReadingStore {
  const store = stores.get(stream) ?? new ReadingStore(stream);
  stores.set(stream, store);
  return store;
}

export interface TailraceProviderProps {
  /** Created once, outside of components, and closed by its creator: a connection outlives components. */
  readonly stream: Stream;
  readonly children?: ReactNode;
}

/** Provides the stream to the components below. */
export function TailraceProvider({ stream, children }: TailraceProviderProps): ReactElement {
  return createElement(StreamContext.Provider, { value: stream }, children);
}

/** Returns the stream of the provider above. Throws `invalid_config` where there is none. */
export function useStream(): Stream {
  const stream = useContext(StreamContext);
  if (stream === undefined) {
    throw new TailraceError(
      'invalid_config',
      'useStream: expected a <TailraceProvider stream={…}> above this component, got none',
    );
  }
  return stream;
}

/** Returns the state of the connection. Renders when it changes. */
export function useConnection(): StreamState {
  const stream = useStream();
  const subscribe = useCallback((listener: () => void) => stream.onState(listener), [stream]);
  const read = () => stream.state;
  return useSyncExternalStore(subscribe, read, read);
}

const waiting: SubscriptionState = { name: 'waiting' };

/**
 * Subscribes while the component is mounted. Renders when the state of the subscription changes, never for reports:
 * those go to the latest listeners. A new channel or view subscribes again; new listeners do not. An undefined channel
 * does not subscribe.
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
    let isMounted = true;
    const subscription = stream.subscribe(channel, {
      ...(JSON.parse(view) as SubscribeOptions),
      onSnapshot: (reports) => latest.current.onSnapshot?.(reports),
      onSnapshotComplete: () => latest.current.onSnapshotComplete?.(),
      onReports: (reports) => latest.current.onReports?.(reports),
      onSkipped: (skipped) => latest.current.onSkipped?.(skipped),
      onCut: (cut) => latest.current.onCut?.(cut),
      onPresence: (presence) => latest.current.onPresence?.(presence),
      onState: (next) => {
        if (!isMounted) return;
        setState(next);
        latest.current.onState?.(next);
      },
    });
    // A closed stream does not call listeners.
    if (subscription.state.name !== 'waiting') setState(subscription.state);
    return () => {
      isMounted = false;
      subscription.unsubscribe();
    };
  }, [stream, channel, view]);
  return state;
}

/**
 * Returns the latest reading of a tag. Renders when it changes, at most once per animation frame. Components that use
 * the same device share one subscription.
 */
export function useReading(device: string, tag: string): LatestReading {
  const store = storeOf(useStream());
  const subscribe = useCallback((listener: () => void) => store.watch(device, listener), [store, device]);
  return useSyncExternalStore(
    subscribe,
    () => store.read(device, tag),
    () => noReading,
  );
}
