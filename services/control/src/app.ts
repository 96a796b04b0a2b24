import { randomUUID } from 'node:crypto';
import type { Bus } from '@tailrace/bus/bus';
import type { Database } from '@tailrace/database/database';
import { devicesTopicSpec, rulesTopicSpec } from '@tailrace/eventlog/alarm-topics';
import { ControlTopic } from '@tailrace/eventlog/control-topic';
import { boundsOf, type EventLog, type TopicSpec } from '@tailrace/eventlog/event-log';
import { eventsTopicSpec } from '@tailrace/eventlog/events-topic';
import type { Clock } from '@tailrace/platform/clock';
import { CredentialVerifier } from '@tailrace/platform/credentials';
import { DeviceCredentials } from '@tailrace/platform/device-credentials';
import type { Logger } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';
import { createRevocationList } from '@tailrace/platform/revocation';
import { tokenVerifierOptionsFrom } from '@tailrace/platform/settings';
import { createTokenVerifier } from '@tailrace/platform/token';
import type { Tracing } from '@tailrace/platform/tracing';
import { registerAlarmQueryRoutes } from './alarms/alarm-query-routes.ts';
import { AlarmReader } from './alarms/alarm-reader.ts';
import { registerAlarmActionRoutes } from './alarms/alarm-routes.ts';
import { registerAuditRoutes } from './audit/audit-routes.ts';
import { RefusalLimit } from './audit/refusal-limit.ts';
import { Automation } from './automation.ts';
import { Acceptance, waitingSubmissionsMax } from './commands/acceptance.ts';
import { CommandConditions } from './commands/command-condition.ts';
import { registerCommandRoutes } from './commands/command-routes.ts';
import { CommandService } from './commands/command-service.ts';
import { CommandWork } from './commands/command-work.ts';
import { IngestClient } from './commands/ingest-client.ts';
import { markedCommandsFrom } from './commands/marked-commands.ts';
import type { ControlSettings } from './config.ts';
import { type ControlContext, journalRefusal, type RegisterRoutes } from './control-context.ts';
import { ControlServer } from './control-server.ts';
import { ControlTracing } from './control-tracing.ts';
import { registerDryRunRoutes } from './dry-run/dry-run-routes.ts';
import { DryRunService } from './dry-run/dry-run-service.ts';
import { LogHistory } from './dry-run/log-history.ts';
import { Fleets } from './fleet/fleets.ts';
import { type Api, createApi, listen } from './http/api.ts';
import { Journal } from './journal.ts';
import { registerLeaseRoutes } from './leases/lease-routes.ts';
import { LeaseService } from './leases/lease-service.ts';
import { createActMetrics, createCommandMetrics } from './metrics.ts';
import { NotificationAdmin } from './notifications/notification-admin.ts';
import { registerNotificationRoutes } from './notifications/notification-routes.ts';
import { Notifications } from './notifications/notifications.ts';
import { outwardFrom } from './notifications/outward.ts';
import { appendAllRecords, type CompactedTopic } from './outbox/compacted-records.ts';
import { OutboxRelay } from './outbox/outbox-relay.ts';
import { FanoutOwners } from './registry/fanout-owners.ts';
import { registerRuleRoutes } from './rules/rule-routes.ts';
import { RuleService } from './rules/rule-service.ts';
import { RuleTags } from './rules/rule-tags.ts';
import { migrateStore } from './store-schema.ts';
import { auditTopicSpec } from './topics.ts';
import { TriggerRuns } from './triggers/trigger-runs.ts';

export interface ControlOptions {
  /** Started by the caller, as the log and the bus are. */
  readonly database: Database;
  readonly eventLog: EventLog;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  /** Of the service `control`. */
  readonly metrics: Metrics;
  readonly tracing: Tracing;
  readonly config: ControlSettings;
  /** Name of this process. */
  readonly node: string;
  /** The routes of further parts. */
  readonly routes?: readonly RegisterRoutes[];
  /** The setting of the port, for the message where it is taken. Default: `port`. */
  readonly portSetting?: string;
  /** Whether `start` migrates the store. False: it was migrated before. Default: true. */
  readonly migratesStore?: boolean;
  /** Whether the API is served. False: requests come over the bus alone, as in a simulation. Default: true. */
  readonly servesApi?: boolean;
  /** Returns an ID of commands and processes that no other one has. Default: random. */
  readonly uniqueId?: () => string;
}

export interface Control {
  /**
   * Migrates the store, and serves the API and the bus. Rejects with `invalid_config` for a store of a newer version,
   * and as log, bus and database do.
   */
  start(): Promise<void>;
  /** Takes no new requests. Resolves when those in progress are answered. */
  drain(): Promise<void>;
  stop(): Promise<void>;
  /** Returns why it takes no requests; undefined if it does. */
  notReady(): string | undefined;
  /** The port of the API; 0 before `start`. */
  readonly port: number;
  /** Takes transitions of alarms, in the transaction that stores them. */
  readonly notifications: Pick<Notifications, 'take' | 'wake'>;
}

/** Creates the service in which people act on what they see. Depends on no environment and process. */
export function createControl(options: ControlOptions): Control {
  const { database, eventLog, bus, clock, random, logger, metrics, config, node, routes = [] } = options;
  const { migratesStore = true, servesApi = true, uniqueId = randomId } = options;
  const { topicPrefix } = config;
  // The name of the node may be that of the process before it, which may still run.
  const worker = `${node}-${uniqueId()}`;
  const outbox = new OutboxRelay({
    ...{ database, eventLog, topicPrefix, worker, clock, logger, metrics },
    rowsMax: config.outboxRowsMax,
  });
  const context: ControlContext = {
    ...{ database, clock, logger, metrics, random, worker, uniqueId },
    journal: new Journal({ clock, onAppended: createActMetrics(metrics) }),
    refusals: new RefusalLimit(clock, metrics),
    wakeOutbox: () => outbox.wake(),
  };
  const { credentials, control, tokens } = createCredentials(options);
  const owners = new FanoutOwners({ bus, clock, name: `control-${worker}`, partitions: config.telemetryPartitions });
  const conditions = new CommandConditions(owners);
  const tracing = new ControlTracing({ tracing: options.tracing, system: bus.system });
  const work = new CommandWork({
    ...{ context, bus, conditions, tracing, resolveMs: config.unconfirmedMs, retentionMs: config.commandRetentionMs },
    onChanged: (command) => onCommand(command),
  });
  const marked = markedCommandsFrom(config.markedCommands);
  const acceptance = new Acceptance({ context, marked, deviceOpenMax: config.deviceOpenCommandsMax });
  const commands = new CommandService({
    ...{ context, work, acceptance, ingest: new IngestClient(bus), conditions },
    openMax: config.openCommandsMax,
    subjectPerSecond: config.subjectCommandsPerSecond,
    isLogBehind: () => outbox.isFull,
  });
  const onCommand = createCommandMetrics(metrics, {
    open: () => commands.open,
    openMax: config.openCommandsMax,
    followed: () => work.followed,
    waiting: () => acceptance.waiting,
    waitingMax: waitingSubmissionsMax,
  });
  const leases = new LeaseService(context);
  const { addresses, post, mail } = outwardFrom(config);
  const notifications = new Notifications({ context, post, mail });
  const notificationAdmin = new NotificationAdmin({
    ...{ context, addresses, hasMail: mail !== undefined, onChanged: () => notifications.changed() },
  });
  const automation = new Automation({
    ...{ context, commands, owners, tokens },
    isMarked: (device, name) => marked.isMarked(device, name),
  });
  const fleets = new Fleets({
    ...{ context, commands, devicesMax: config.fleetDevicesMax, retentionMs: config.commandRetentionMs },
    isMarked: (device, name) => marked.isMarked(device, name),
  });
  const rules = new RuleService(context, () => automation.surveyNow(), new RuleTags(owners));
  const dryRuns = new DryRunService({ context, history: new LogHistory(eventLog, `${topicPrefix}.telemetry`) });
  const alarms = new AlarmReader({
    ...{ database, eventLog, notifications, worker, clock, logger, metrics, retentionMs: config.alarmRetentionMs },
    triggers: new TriggerRuns({ context, metrics }),
    ...{ eventsTopic: `${topicPrefix}.events`, alarmsTopic: `${topicPrefix}.alarms` },
    partitions: config.telemetryPartitions,
  });
  const server = new ControlServer({ bus, commands, leases, context, tracing });
  const registerRoutes = (scope: Api) => {
    registerCommandRoutes(scope, commands, context);
    registerLeaseRoutes(scope, leases);
    registerAuditRoutes(scope, database);
    registerRuleRoutes(scope, rules);
    registerDryRunRoutes(scope, dryRuns);
    registerAlarmActionRoutes(scope, context);
    registerAlarmQueryRoutes(scope, context);
    registerNotificationRoutes(scope, notificationAdmin);
    automation.registerRoutes(scope);
    fleets.registerRoutes(scope);
    for (const register of routes) register(scope, context);
  };
  let api: Api | undefined;
  let state: 'new' | 'running' | 'draining' | 'stopped' = 'new';
  let port = 0;
  return {
    get port() {
      return port;
    },
    notifications,
    notReady: () => (state === 'running' ? undefined : state),
    async start() {
      await eventLog.ensureTopic(eventsTopicSpec(`${topicPrefix}.events`, config.telemetryPartitions));
      await eventLog.ensureTopic(auditTopicSpec(topicPrefix));
      // Before the first request: a revoked token is refused from the start.
      await control.start();
      const applied = migratesStore ? await migrateStore(database) : [];
      if (applied.length > 0) logger.info({ applied }, 'the store was migrated');
      await publish(options, rulesTopicSpec(`${topicPrefix}.rules`), 'rules');
      await publish(options, devicesTopicSpec(`${topicPrefix}.devices`), 'devices');
      await outbox.start();
      await owners.start();
      await work.subscribe();
      work.start();
      leases.start();
      await notifications.start();
      alarms.start();
      await automation.start();
      fleets.start();
      await server.subscribe();
      if (servesApi)
        api = await createApi({
          ...{ settings: config, credentials, tracing, logger, metrics, routes: registerRoutes },
          // Of what has no more specific entry.
          onRefused: (requester, { method, path }, error) =>
            journalRefusal(context, requester, { action: 'request.refused', target: path, details: { method } }, error),
        });
      if (state !== 'new') return;
      if (api !== undefined) port = await listen(api, config, options.portSetting ?? 'port');
      state = 'running';
      logger.info({ host: config.host, port }, 'the API of control is served at /v1/docs');
    },
    async drain() {
      if (state !== 'running') return;
      state = 'draining';
      dryRuns.stop();
      await fleets.drain();
      await Promise.all([api?.close(), server.stop()]);
    },
    async stop() {
      state = 'stopped';
      dryRuns.stop();
      api?.server.closeAllConnections();
      await Promise.all([api?.close(), server.stop()]);
      control.stop();
      leases.stop();
      await alarms.stop();
      await notifications.stop();
      await automation.stop();
      await fleets.stop();
      await work.stop();
      await owners.stop();
      await outbox.stop();
    },
  };
}

function randomId(): string {
  return randomUUID().replaceAll('-', '');
}

/** Puts all records of a compacted topic on their way, if it is new, or was lost. */
async function publish(
  { eventLog, database, clock, logger }: ControlOptions,
  spec: TopicSpec,
  compacted: CompactedTopic,
): Promise<void> {
  const { name: topic } = spec;
  await eventLog.ensureTopic(spec);
  if (boundsOf(await eventLog.bounds(topic, [0]), 0).next > 0) return;
  const records = await database.transaction((transaction) => appendAllRecords(transaction, compacted, clock.now()));
  if (records > 0) logger.info({ topic, records }, 'a topic has no records; it is written from the store');
}

/** Verifies tokens as ingest and fanout do, with the revocations of the control topic. */
function createCredentials({ eventLog, clock, logger, metrics, config }: ControlOptions) {
  const revocations = createRevocationList({ clock, metrics, entriesMax: config.revocationsMax });
  const known = new DeviceCredentials({ clock, revocations, entriesMax: config.credentialsMax, metrics });
  const control = new ControlTopic({
    ...{ eventLog, topicPrefix: config.topicPrefix, clock, logger, metrics },
    onCredentials: (entries) => known.merge(entries),
    onRevocations(entries) {
      known.revoke(entries);
      revocations.merge(entries);
    },
  });
  const credentials = new CredentialVerifier({
    tokens: createTokenVerifier({ ...tokenVerifierOptionsFrom(config), clock, logger, revocations }),
    credentials: known,
    revocations,
    clock,
    clockToleranceMs: config.tokenClockToleranceMs,
    metrics,
  });
  return { credentials, control, tokens: { known, revocations } };
}
