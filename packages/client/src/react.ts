import type { AlarmActionRefused } from '@tailrace/protocol/control-event-json';
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
import type { Alarms } from './alarm-store.ts';
import { type CommandRequest, type Control, createControl, type SentCommand } from './control.ts';
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

/** One control per stream, which lives as long as the stream. */
const controls = new WeakMap<Stream, Control>();

/** Returns the control of the stream of the provider above. */
export function useControl(): Control {
  const stream = useStream();
  const control = controls.get(stream) ?? createControl(stream);
  controls.set(stream, control);
  return control;
}

/** The alarms of a channel as they are rendered. */
export interface RenderedAlarms {
  /** The most important first. */
  readonly alarms: Alarms['current'];
  readonly isLive: boolean;
}

const noAlarms: RenderedAlarms = { alarms: [], isLive: false };

/**
 * Subscribes to the alarms of a channel while the component is mounted. Renders when one changes. `onRefused` gets the
 * actions that were refused because their alarm had changed, by the ID with which they were accepted.
 */
export function useAlarms(channel: string, onRefused?: (refused: AlarmActionRefused) => void): RenderedAlarms {
  const control = useControl();
  const latest = useRef(onRefused);
  useEffect(() => {
    latest.current = onRefused;
  });
  const [rendered, setRendered] = useState<RenderedAlarms>(noAlarms);
  useEffect(() => {
    const alarms = control.alarms(channel);
    const render = () => setRendered({ alarms: alarms.current, isLive: alarms.isLive });
    const remove = alarms.onChange(render);
    alarms.onRefused((refused) => latest.current?.(refused));
    return () => {
      remove();
      alarms.close();
      setRendered(noAlarms);
    };
  }, [control, channel]);
  return rendered;
}

/** A command of a component: its last state, or the error with which it was refused. */
export interface RenderedCommand {
  readonly state: NonNullable<SentCommand['last']> | undefined;
  readonly error: TailraceError | undefined;
  /** Why the last attempt has failed, see `SentCommand.retryError`. */
  readonly retryError: TailraceError | undefined;
  readonly isPending: boolean;
}

const noCommand: RenderedCommand = { state: undefined, error: undefined, retryError: undefined, isPending: false };

/** Returns a function that sends a command, and what became of the last one. Renders at each of its states. */
export function useCommand(): readonly [(request: CommandRequest) => SentCommand, RenderedCommand] {
  const control = useControl();
  const [rendered, setRendered] = useState<RenderedCommand>(noCommand);
  const last = useRef<SentCommand | undefined>(undefined);
  useEffect(
    () => () => {
      last.current = undefined;
    },
    [],
  );
  const send = useCallback(
    (request: CommandRequest) => {
      const command = control.command(request);
      last.current = command;
      const render = (isPending: boolean, error?: TailraceError) => {
        const { last: state, retryError } = command;
        if (last.current === command) setRendered({ state, error, retryError, isPending });
      };
      render(true);
      command.onState(() => render(true));
      command.onRetry(() => render(true));
      command.result.then(
        () => render(false),
        (error: TailraceError) => render(false, error),
      );
      return command;
    },
    [control],
  );
  return [send, rendered];
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
