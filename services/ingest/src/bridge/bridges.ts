import type { EventLog } from '@tailrace/eventlog/event-log';
import type { ClientConnection } from '@tailrace/mqtt/client-connection';
import type { ClientSubscription } from '@tailrace/mqtt/client-options';
import { sharedFilterOf } from '@tailrace/mqtt/topic';
import type { Clock } from '@tailrace/platform/clock';
import type { Logger } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';
import type { Admission } from '../admission.ts';
import type { DeadLetters } from '../dead-letters/dead-letters.ts';
import type { LogLookback } from '../devices/log-lookback.ts';
import type { MessageIntake } from '../intake/message-intake.ts';
import type { MessageTracing } from '../intake/message-tracing.ts';
import { Bridge } from './bridge.ts';
import { bridgeGrant } from './bridge-grant.ts';
import { createBridgeCounts, registerBridgeGauges } from './bridge-metrics.ts';
import { BridgeNotes } from './bridge-notes.ts';
import type { BridgeSettings } from './bridge-settings.ts';
import { createBrokerClient } from './broker-client.ts';
import { LoggedReports } from './logged-reports.ts';
import { MessageMapper } from './message-mapper.ts';
import { RetainedMessages } from './retained-messages.ts';
import { SessionSubscriptions } from './session-subscriptions.ts';

export interface BridgesOptions {
  /** Of the file of bridges. */
  readonly settings: readonly BridgeSettings[];
  /** Name of this node: a part of the client IDs, so that each node has a session of its own at the broker. */
  readonly node: string;
  readonly topicPrefix: string;
  readonly eventLog: Pick<EventLog, 'ensureTopic' | 'bounds' | 'read' | 'append'>;
  readonly admission: Admission;
  readonly intake: Pick<MessageIntake, 'add' | 'isFull'>;
  readonly tracing: MessageTracing;
  readonly deadLetters: Pick<DeadLetters, 'write'>;
  readonly lookback: Pick<LogLookback, 'isSuspect' | 'idsOfAll'>;
  readonly names: { admit(path: string): void };
  readonly onAccepted: (readings: number, isClockAhead: boolean) => void;
  readonly clockAheadMs: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** The bridges of this node. */
export interface Bridges {
  /** Connects. Rejects if the topic of notes cannot be read. */
  start(): Promise<void>;
  /** Disconnects each when its messages are in the log, and after `drainMs` in any case. */
  stop(drainMs: number): Promise<void>;
}

/** Messages of one retained filter that are unacknowledged. */
const retainedReceiveMaximum = 20;

/** Returns the client ID of a bridge on a node. */
export function bridgeClientId({ name, clientId }: BridgeSettings, node: string): string {
  return clientId ?? `tailrace-${name}-${node}`;
}

/** Composes the bridges that run on this node. */
export function createBridges(options: BridgesOptions): Bridges {
  const { node, metrics, eventLog, topicPrefix, logger } = options;
  const all = options.settings.filter(({ subscriptions }) => subscriptions.length > 0);
  const settings = all.filter((bridge) => bridge.node === undefined || bridge.node === node);
  for (const { name, node: runsOn } of all)
    if (runsOn !== undefined && runsOn !== node)
      logger.info({ bridge: name, node: runsOn }, 'the bridge runs on another node');
  const notes = new BridgeNotes(eventLog, topicPrefix);
  const countsOf = createBridgeCounts(
    metrics,
    settings.map(({ name }) => name),
  );
  const running = settings.map((bridge) => createBridge(bridge, options, { notes, counts: countsOf(bridge.name) }));
  registerBridgeGauges(
    metrics,
    running.map(({ bridge }) => bridge),
  );
  return {
    async start() {
      if (running.length === 0) return;
      await notes.start();
      for (const { bridge, retained } of running) {
        bridge.start();
        retained.start();
      }
    },
    async stop(drainMs) {
      await Promise.all(running.flatMap(({ bridge, retained }) => [retained.stop(), bridge.stop(drainMs)]));
    },
  };
}

interface Running {
  readonly bridge: Bridge;
  readonly retained: RetainedMessages;
}

function createBridge(
  settings: BridgeSettings,
  options: BridgesOptions,
  { notes, counts }: { notes: BridgeNotes; counts: ReturnType<ReturnType<typeof createBridgeCounts>> },
): Running {
  const { name, share, subscriptions, publish, receiveMaximum, sessionExpiryMs } = settings;
  const { node, admission, intake, tracing, deadLetters, names, onAccepted, clockAheadMs, clock, random, logger } =
    options;
  const clientId = bridgeClientId(settings, node);
  const wanted: readonly ClientSubscription[] = subscriptions.map(({ filter, qos }) => ({
    filter: share === '' ? filter : sharedFilterOf(share, filter),
    qos,
  }));
  const session = new SessionSubscriptions(notes, `${name}/session/${clientId}`, wanted);
  let client: ClientConnection | undefined;
  const bridge = new Bridge({
    name,
    receiveMaximum,
    createClient(handlers) {
      client = createBrokerClient(
        {
          broker: settings,
          ...{ clientId, cleanStart: false, sessionExpiryMs, receiveMaximum, clock, random },
          subscriptions: wanted,
          isSubscribed: session.isKnown,
        },
        handlers,
      );
      return client;
    },
    mapper: new MessageMapper(subscriptions),
    grant: bridgeGrant(name, publish),
    logged: new LoggedReports(options.lookback, clock),
    ...{ admission, intake, tracing, deadLetters, names, counts, onAccepted, clock, random, logger, clockAheadMs },
    onOpened() {
      const obsolete = session.obsolete();
      if (obsolete.length > 0) client?.unsubscribe(obsolete);
      // A refused one is to be subscribed again by the next process.
      if (bridge.refusedFilters > 0) return;
      session
        .note()
        .catch((error: unknown) =>
          logger.warn({ bridge: name, error }, 'cannot note the subscriptions of the session'),
        );
    },
  });
  const retained = new RetainedMessages({
    name,
    filters: subscriptions.filter((each) => each.retained === 'once').map(({ filter }) => filter),
    notes,
    createClient: (plain, handlers) =>
      createBrokerClient(
        {
          broker: settings,
          // The same on all nodes: the broker lets one of them connect.
          clientId: `tailrace-${name}-retained`,
          ...{ cleanStart: true, sessionExpiryMs: 0, receiveMaximum: retainedReceiveMaximum, clock, random },
          subscriptions: plain,
          isSubscribed: false,
        },
        handlers,
      ),
    take: (message, done) => bridge.takeRetained(message, done),
    ...{ clock, random, logger },
  });
  return { bridge, retained };
}
