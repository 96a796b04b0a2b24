import { randomUUID } from 'node:crypto';
import { alarmsTopicSpec } from '@tailrace/eventlog/alarm-topics';
import { EpochWatch } from '@tailrace/eventlog/epoch-watch';
import type { EventLog } from '@tailrace/eventlog/event-log';
import { eventsTopicSpec } from '@tailrace/eventlog/events-topic';
import type { Clock } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import type { Metrics } from '@tailrace/platform/metrics';
import { TailraceError } from '@tailrace/protocol/error';
import type { AlarmsSettings } from './config.ts';
import { AreaRateCounter } from './flood/area-rate-counter.ts';
import { registerAlarmMetrics } from './metrics.ts';
import { AlarmCheckpoints } from './ownership/alarm-checkpoints.ts';
import { AlarmOwnership } from './ownership/alarm-ownership.ts';
import { EventWriters } from './ownership/event-writer.ts';
import { LogAnswers } from './ownership/log-answers.ts';
import type { EvaluationCounts, PartitionContext } from './ownership/partition-alarms.ts';
import { partitionKeys } from './ownership/partition-keys.ts';
import { Recovery } from './ownership/recovery.ts';
import { createDevicesReader } from './rules/devices-reader.ts';
import { RuleSet } from './rules/rule-set.ts';
import { createRulesReader } from './rules/rules-reader.ts';
import type { TopicReader } from './rules/topic-reader.ts';

export interface AlarmsOptions {
  readonly eventLog: EventLog;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly config: AlarmsSettings;
  /** In [0, 1): spreads retries. */
  readonly random: () => number;
  /** Calls once in a later turn of the event loop, after everything that is ready now. Default: `setImmediate`. */
  readonly defer?: (call: () => void) => void;
  /**
   * Called once, if the log was re-created: this node must stop, and may be restarted. Default: the log is not watched.
   */
  readonly onLogReplaced?: (error: TailraceError) => void;
}

export interface Alarms {
  /**
   * Resolves once the rules and the labels of devices are read, and the group is joined. The group assigns partitions
   * later: see `notReady`.
   */
  start(): Promise<void>;
  /** Writes transitions and checkpoints, and leaves the group. */
  drain(): Promise<void>;
  stop(): Promise<void>;
  /** Returns why this node does not evaluate; undefined if it does. */
  notReady(): string | undefined;
  /** The objects of the node, for tests; undefined before `start` and after `stop`. */
  readonly node: AlarmsNode | undefined;
}

export interface AlarmsNode {
  readonly rules: RuleSet;
  readonly reader: TopicReader;
  readonly devicesReader: TopicReader;
  readonly ownership: AlarmOwnership;
  /** Undefined: floods are not found. */
  readonly areaRates: AreaRateCounter | undefined;
  readonly checkpoints: AlarmCheckpoints;
  readonly recovery: Recovery;
  readonly writers: EventWriters;
  readonly counts: EvaluationCounts;
  readonly epochWatch: EpochWatch | undefined;
}

/** The topics of the service. */
interface NodeTopics {
  readonly telemetry: string;
  readonly events: string;
  readonly alarms: string;
  readonly rules: string;
  readonly devices: string;
  readonly partitions: number;
  /** Of the telemetry topic. */
  readonly epoch: string;
  /** Of the topic of events. */
  readonly eventsEpoch: string;
}

/** Creates a node of the alarms service. Reads no environment variables, and sets no handlers of the process. */
export function createAlarms(options: AlarmsOptions): Alarms {
  return new AlarmsProcess(options);
}

const warningEveryMs = 60_000;

class AlarmsProcess implements Alarms {
  node: AlarmsNode | undefined;
  readonly #options: AlarmsOptions;
  #isStopped = false;

  constructor(options: AlarmsOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    try {
      const topics = await ensureTopics(this.#options.eventLog, this.#options.config);
      this.#assertNotStopped();
      const node = composeNode(this.#options, topics);
      this.node = node;
      // Before the first report: without rules an alarm would count as removed.
      await node.reader.start();
      await node.devicesReader.start();
      this.#assertNotStopped();
      await node.ownership.start();
      node.areaRates?.start();
      this.#assertNotStopped();
    } catch (thrown) {
      await this.stop();
      throw thrown;
    }
  }

  #assertNotStopped(): void {
    if (this.#isStopped) throw new TailraceError('closed', 'the node was stopped before it had started');
  }

  async drain(): Promise<void> {
    await this.node?.ownership.stop(this.#options.config.drainMs);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    const { node } = this;
    this.node = undefined;
    node?.epochWatch?.stop();
    node?.reader.stop();
    node?.devicesReader.stop();
    node?.areaRates?.stop();
    await node?.ownership.stop(this.#options.config.drainMs);
  }

  notReady(): string | undefined {
    return this.node === undefined ? 'not started' : this.node.ownership.notReady();
  }
}

/** Creates missing topics. Rejects with `unavailable` if the log is unavailable. */
async function ensureTopics(eventLog: EventLog, config: AlarmsSettings): Promise<NodeTopics> {
  const { topicPrefix, telemetryPartitions, retentionMs, retentionBytes } = config;
  const nameOf = (topic: string) => `${topicPrefix}.${topic}`;
  const telemetry = nameOf('telemetry');
  const spec = { name: telemetry, partitions: telemetryPartitions, retentionMs, retentionBytes };
  const { epoch, partitions } = await eventLog.ensureTopic(spec);
  const events = nameOf('events');
  const alarms = nameOf('alarms');
  const { epoch: eventsEpoch } = await eventLog.ensureTopic(eventsTopicSpec(events, partitions));
  await eventLog.ensureTopic(alarmsTopicSpec(alarms, partitions));
  const [rules, devices] = [nameOf('rules'), nameOf('devices')];
  return { telemetry, events, alarms, rules, devices, partitions, epoch, eventsEpoch };
}

/** Composes a node: each object gets those created before it. Nothing is read yet. */
function composeNode(options: AlarmsOptions, topics: NodeTopics): AlarmsNode {
  const { eventLog, clock, logger, metrics, config, random } = options;
  const { epoch, eventsEpoch, partitions } = topics;
  const defer = options.defer ?? ((call) => void setImmediate(call));
  const now = () => clock.monotonic();
  const keys = partitionKeys(partitions);
  const rules = new RuleSet({ hasFloods: config.areaLevels > 0 });
  const onRulesChanged = () => ownership.rulesChanged();
  const reader = createRulesReader({ eventLog, topic: topics.rules, clock, logger }, rules, onRulesChanged);
  const devicesReader = createDevicesReader({ eventLog, topic: topics.devices, clock, logger }, rules, onRulesChanged);
  const { unwrittenMax, pairsMax, checkpointMs, slackMs, graceMs, lookbackMs, flushMs, node } = config;
  const writers = new EventWriters({
    ...{ eventLog, topic: topics.events, clock, logger, random, unwrittenMax },
    onWritten: (seconds) => measures.delaySeconds.observe(seconds),
  });
  const checkpoints = new AlarmCheckpoints({ eventLog, topic: topics.alarms, epoch, keys, logger, now });
  const counts: EvaluationCounts = {
    ...{ reports: 0, evaluated: 0, lateReadings: 0, duplicateReports: 0, unevaluated: 0, rejected: 0 },
    ...{ transitions: 0, actions: 0, refusals: 0 },
  };
  const sentence = 'a record cannot be evaluated; skipped';
  const onRejected = new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, now);
  const context: PartitionContext = {
    ...{ epoch, eventsEpoch, clock, rules, writers, checkpoints, counts },
    pairs: { size: 0, max: pairsMax },
    onFenced: (partition, owner) => ownership.fenced(partition, owner),
    onRejected: (partition, seq, device, error) => onRejected.write(() => ({ partition, seq, device, error })),
  };
  const answers = new LogAnswers();
  const recovery = new Recovery({
    ...{ eventLog, clock, topics, keys, node, process: randomUUID(), context, defer },
    limits: { slackMs, graceMs, lookbackMs },
    answers,
  });
  const epochWatch = epochWatchFrom(options, topics);
  const measures = registerAlarmMetrics(metrics, {
    now,
    node: () => ({
      rules,
      reader,
      devicesReader,
      ownership,
      areaRates,
      checkpoints,
      recovery,
      writers,
      counts,
      pairs: context.pairs,
    }),
  });
  const ownership: AlarmOwnership = new AlarmOwnership({
    ...{ eventLog, clock, logger, random, topics, node, flushMs, checkpointMs, writers, recovery, answers },
    defer,
    group: `${config.topicPrefix}.alarms`,
    onLogError: () => epochWatch?.check(),
    onRecovered: (seconds) => measures.takeoverSeconds.observe(seconds),
  });
  const areaRates =
    config.areaLevels === 0
      ? undefined
      : new AreaRateCounter({
          ...{ eventLog, topic: topics.events, keys, levels: config.areaLevels, clock, logger, defer },
          ownerOf0: () => ownership.ownerOf(0),
        });
  return { rules, reader, devicesReader, ownership, areaRates, checkpoints, recovery, writers, counts, epochWatch };
}

function epochWatchFrom(options: AlarmsOptions, topics: NodeTopics): EpochWatch | undefined {
  const { eventLog, clock, logger, config, onLogReplaced } = options;
  if (onLogReplaced === undefined) return undefined;
  const { telemetryPartitions, retentionMs, retentionBytes } = config;
  const spec = { name: topics.telemetry, partitions: telemetryPartitions, retentionMs, retentionBytes };
  return new EpochWatch({ eventLog, clock, logger, spec, epoch: topics.epoch, onReplaced: onLogReplaced });
}
