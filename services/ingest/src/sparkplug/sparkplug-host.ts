import { userProperty } from '@tailrace/mqtt/inbound-messages';
import type { Clock } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import { isTailraceError, TailraceError } from '@tailrace/protocol/error';
import { tenantOf } from '@tailrace/protocol/path';
import type { Reading } from '@tailrace/protocol/report';
import { type CommandTarget, type CommandValue, commandMessage, rebirthMessage } from '@tailrace/sparkplug/command';
import type { OutboundMessage } from '@tailrace/sparkplug/outbound-message';
import { PathMap } from '@tailrace/sparkplug/path-map';
import { defaultRebirthLimits, RebirthBudget } from '@tailrace/sparkplug/rebirth-budget';
import { defaultReorderLimits } from '@tailrace/sparkplug/reorder-window';
import { HostState } from '@tailrace/sparkplug/state-message';
import { type MessageType, type NodeTopic, nodeKey, parseTopic, stateTopicOf } from '@tailrace/sparkplug/topic';
import type { SparkplugSettings } from '../bridge/sparkplug-settings.ts';
import type { DeadLetterReason } from '../dead-letters/dead-letter-reason.ts';
import type { DeadLetters } from '../dead-letters/dead-letters.ts';
import type { PresenceEvents } from '../devices/presence-events.ts';
import type { MessageIntake } from '../intake/message-intake.ts';
import type { MessageTracing } from '../intake/message-tracing.ts';
import type { Grant, RecordContext } from '../intake/record-from.ts';
import type { BirthStore } from './birth-store.ts';
import type { HostContext } from './host-context.ts';
import type { HostCounts } from './host-counts.ts';
import { HostLimits, pathsMax } from './host-limits.ts';
import { HostNode } from './host-node.ts';
import { LogWriter } from './log-writer.ts';
import { NodeOwners } from './node-owners.ts';
import type { PendingReport, ReportOrigin } from './pending-report.ts';
import { Receipt } from './receipt.ts';
import type { Acknowledger, BrokerMessage, SparkplugBroker } from './sparkplug-broker.ts';
import { StandbyReports } from './standby-reports.ts';

/** Bytes of messages that wait in reorder windows, of one host. */
export const heldBytesMax = 64 * 1024 * 1024;
/** Topics whose meaning is kept, and their longest: `nodesMax` nodes with some devices have as many. */
const topicsMax = 100_000;
const topicCharactersMax = 256;
const warningEveryMs = 60_000;

/** The meaning of a topic. */
interface Route {
  readonly node: HostNode;
  readonly type: MessageType;
  readonly device: string | undefined;
}

export interface SparkplugHostOptions {
  /** Name of the broker's settings, for dead letters, births and metrics. */
  readonly name: string;
  /** Name of this node of ingest. */
  readonly ingestNode: string;
  readonly settings: Omit<SparkplugSettings, 'groups'>;
  /** Whether other nodes of ingest may be hosts of the same broker. */
  readonly hasPeers: boolean;
  readonly broker: SparkplugBroker;
  /** Whether its nodes are of several tenants, which must not use what others need. Default: they are not. */
  readonly isSharedByTenants?: boolean;
  readonly intake: Pick<MessageIntake, 'add' | 'isFull'>;
  readonly tracing: Pick<MessageTracing, 'enabled' | 'start'>;
  readonly letters: Pick<DeadLetters, 'write'>;
  readonly births: Pick<BirthStore, 'put' | 'take' | 'isPending'>;
  readonly presence: Pick<PresenceEvents, 'started' | 'closed'>;
  readonly grant: Grant;
  readonly devices: RecordContext['devices'];
  readonly clockAheadMs: number;
  readonly counts: HostCounts;
  /** Called for each report that is in the log. */
  readonly onAccepted: (readings: number, isClockAhead: boolean) => void;
  /** Called for the data of a device, historical ones left out. Default: it is not. */
  readonly onReadings?: (device: string, readings: readonly Reading[]) => void;
  readonly clock: Pick<Clock, 'now' | 'monotonic' | 'after'>;
  readonly logger: Logger;
}

/**
 * The Sparkplug host of one broker. It receives the messages of all edge nodes, and appends those of the nodes that it
 * owns, see `NodeOwners`. What it sends depends on its role; a passive host sends nothing.
 *
 * The caller passes the messages of the connection, calls `tick` every 100 ms and `check` every second.
 */
export class SparkplugHost {
  readonly #options: SparkplugHostOptions;
  readonly #context: HostContext;
  readonly #writer: LogWriter;
  readonly #standby = new StandbyReports();
  readonly #limits: HostLimits;
  readonly #owners: NodeOwners;
  readonly #rebirths: RebirthBudget<ReportOrigin> | undefined;
  /** Nodes by group and ID. */
  readonly #nodes = new Map<string, HostNode>();
  readonly #routes = new Map<string, Route>();
  /** Nodes with messages in their reorder window. */
  readonly #reordering = new Set<HostNode>();
  #heldBytes = 0;
  readonly #state: HostState | undefined;
  readonly #stateTopic: string;
  #isStateHost = false;
  #isOpen = false;
  #isStopped = false;
  #closedAtMs: number;
  #lastSession = 0;
  readonly #onGap: LimitedWarning;
  readonly #onForeignState: LimitedWarning;

  /** Throws `invalid_path` and `invalid_message` for a prefix, segment or host ID that is none. */
  constructor(options: SparkplugHostOptions) {
    const { name, settings, broker, intake, tracing, letters, births, presence, grant, devices, clock, logger } =
      options;
    const { role, hostId, prefix, ids, reorderMs } = settings;
    this.#options = options;
    this.#limits = new HostLimits(options.isSharedByTenants === true);
    this.#closedAtMs = clock.monotonic();
    this.#owners = new NodeOwners(options.ingestNode);
    const tenantOfNode = options.isSharedByTenants === true ? (node: ReportOrigin) => node.tenant : undefined;
    this.#rebirths = role === 'passive' ? undefined : new RebirthBudget(defaultRebirthLimits, tenantOfNode);
    this.#state = role === 'primary' ? new HostState(hostId) : undefined;
    this.#stateTopic = role === 'primary' ? stateTopicOf(hostId) : '';
    const letterSourceOf = options.isSharedByTenants === true ? (tenant: string) => tenant || name : () => name;
    this.#writer = new LogWriter({
      letterSourceOf,
      intake,
      tracing,
      letters,
      clock,
      onReport: (report, seq, error) => this.#settled(report, seq, error),
      onFull: (isFull) => (isFull ? broker.pause() : broker.resume()),
    });
    const warning = (sentence: string) =>
      new LimitedWarning(logger.warn.bind(logger), sentence, warningEveryMs, () => clock.monotonic());
    this.#onGap = warning('messages of a Sparkplug edge node did not come within the reorder window');
    this.#onForeignState = warning('another client publishes the STATE of this host');
    this.#context = {
      name,
      letterSourceOf,
      paths: new PathMap({ prefix, ids, pathsMax }),
      grant,
      devices,
      clockAheadMs: options.clockAheadMs,
      hasPeers: options.hasPeers,
      writer: this.#writer,
      standby: this.#standby,
      births,
      presence,
      rebirths: this.#rebirths,
      counts: options.counts.sparkplug,
      limits: { ...defaultReorderLimits, reorderMs },
      shared: this.#limits,
      clock,
      nextSession: () => this.#nextSession(),
      onGap: (node, gap) => this.#onGap.write(() => ({ node, ...gap })),
      onReadings: options.onReadings,
    };
    if (!options.hasPeers) {
      this.#owners.update([options.ingestNode]);
      this.setStateHost(true);
    }
    for (const { group, node, device, bytes } of births.take(name)) this.#nodeOf(group, node)?.restore(device, bytes);
  }

  // For metrics

  get nodes(): number {
    return this.#nodes.size;
  }

  /** Nodes that are online, and those of them that this node of ingest owns. */
  get online(): { readonly all: number; readonly owned: number } {
    let [all, owned] = [0, 0];
    for (const { isOnline, isOwned } of this.#nodes.values()) {
      if (!isOnline) continue;
      all++;
      if (isOwned) owned++;
    }
    return { all, owned };
  }

  /** Nodes that are known from before the connect, and have not sent since: their last values may be missing. */
  get unconfirmed(): number {
    let unconfirmed = 0;
    for (const { isUnconfirmed } of this.#nodes.values()) if (isUnconfirmed) unconfirmed++;
    return unconfirmed;
  }

  /** Metrics in the births of all nodes. */
  get definitions(): number {
    let definitions = 0;
    for (const node of this.#nodes.values()) definitions += node.definitions;
    return definitions;
  }

  /** What all nodes use together. */
  get limits(): HostLimits {
    return this.#limits;
  }

  get heldMessages(): number {
    let messages = 0;
    for (const node of this.#reordering) messages += node.heldMessages;
    return messages;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Bytes of reports and dead letters that are not durable. */
  get unsettledBytes(): number {
    return this.#writer.bytes;
  }

  get retried(): number {
    return this.#writer.retried;
  }

  get standby(): Pick<StandbyReports, 'bytes' | 'dropped'> {
    return this.#standby;
  }

  /** Nodes whose birth is needed, and how often a request had to wait for a limit. */
  get rebirths(): { readonly waiting: number; readonly heldBack: number } {
    return this.#rebirths ?? noRebirths;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** How long the connection is not open, ms; 0 while it is. */
  get closedMs(): number {
    return this.#isOpen ? 0 : this.#options.clock.monotonic() - this.#closedAtMs;
  }

  /** Whether this node of ingest publishes the STATE of the host. */
  get isStateHost(): boolean {
    return this.#isStateHost;
  }

  // The connection

  /** Returns the will of a new connection: its STATE, which each connection has with its own time. */
  connecting(): OutboundMessage | undefined {
    const state = this.#isStateHost ? this.#state : undefined;
    return state?.connecting(this.#options.clock.now());
  }

  /** The connection is open, and the subscriptions are made. */
  opened(): void {
    const { clock, broker } = this.#options;
    this.#isOpen = true;
    const birth = this.#state?.subscribed(clock.now());
    if (birth !== undefined) broker.publish(birth);
    for (const node of this.#nodes.values()) node.connected(clock.monotonic());
  }

  /** The connection was lost. */
  disconnected(): void {
    if (this.#isOpen) this.#closedAtMs = this.#options.clock.monotonic();
    this.#isOpen = false;
    this.#state?.disconnected();
  }

  /**
   * Stops the host before an intended disconnect: publishes its death, and closes the sessions of its nodes for now,
   * since another node of ingest, or the next run, receives their messages.
   */
  stop(): void {
    const death = this.#isOpen && this.#isStateHost ? this.#state?.disconnecting(this.#options.clock.now()) : undefined;
    if (death !== undefined) this.#options.broker.publish(death);
    this.#isOpen = false;
    this.#isStopped = true;
    for (const node of this.#nodes.values()) node.close('drain');
  }

  /** Appends nothing again from now on. Called when the connection is closed. */
  close(): void {
    this.#writer.stop();
  }

  /** Whether all reports and dead letters are durable. */
  get isIdle(): boolean {
    return this.#writer.isIdle;
  }

  /** Processes a message of the broker. Never throws for what it contains. Hot. */
  receive(message: BrokerMessage, from: Acknowledger): void {
    if (this.#isStopped) return;
    const { topic, payload, retain, ticket } = message;
    const { counts, tracing, clock } = this.#options;
    const route = this.#routes.get(topic) ?? this.#routeOf(message, from);
    if (route === undefined) return;
    counts.messages[route.type].add();
    const { node, type, device } = route;
    const before = node.heldBytes;
    const nowMs = clock.monotonic();
    // Without tracing no message is searched for its trace.
    const traceparent = tracing.enabled ? traceparentOf(message) : undefined;
    node.receive({ type, device, bytes: payload, isRetained: retain, traceparent }, ticket, from, nowMs);
    if (node.heldMessages > 0 || before > 0) this.#countHeld(node, before);
  }

  /** Returns the message that writes metrics. Throws as `commandMessage`, and `not_found` without a birth. */
  commandMessage(target: CommandTarget, values: readonly CommandValue[]): OutboundMessage {
    const { group, node, device } = target;
    const table = this.#nodes.get(nodeKey(group, node))?.tableOf(device);
    if (table !== undefined) return commandMessage(target, table, values, this.#options.clock.now());
    throw new TailraceError('not_found', `${device ?? node}: expected a device with a birth, got one without`);
  }

  /** Names of the nodes of ingest that are connected to the broker. Appends what a lost one may have left. */
  setOwners(names: readonly string[]): void {
    if (!this.#owners.update(names)) return;
    const nowMs = this.#options.clock.monotonic();
    const gained = new Set<ReportOrigin>();
    for (const node of this.#nodes.values()) {
      const isOwned = this.#owners.owns(nodeKey(node.group, node.node));
      if (isOwned === node.isOwned) continue;
      node.own(isOwned, nowMs);
      if (isOwned) gained.add(node);
    }
    this.#options.counts.takenOver.add(gained.size);
    if (gained.size === 0) return;
    for (const report of this.#standby.take(({ origin }) => gained.has(origin), nowMs)) report.origin.append(report);
  }

  /**
   * Sets whether this node of ingest publishes the STATE of the host. The caller connects again after a change, since
   * the will is part of the connect.
   */
  setStateHost(isStateHost: boolean): void {
    this.#isStateHost = isStateHost && this.#state !== undefined;
  }

  /** Does what is due. Called every 100 ms. */
  tick(): void {
    const { clock, broker, counts } = this.#options;
    const nowMs = clock.monotonic();
    for (const node of this.#reordering) {
      if (node.dueMs === undefined || nowMs < node.dueMs) continue;
      const before = node.heldBytes;
      node.tick(nowMs);
      this.#countHeld(node, before);
    }
    if (!this.#isOpen) return;
    const birth = this.#state?.tick(clock.now());
    if (birth !== undefined) broker.publish(birth);
    for (const { node, cause } of this.#rebirths?.takeDue(nowMs) ?? []) {
      counts.rebirths[cause].add();
      if (broker.publish(rebirthMessage(node, clock.now()))) node.requested(nowMs);
    }
  }

  /** Checks nodes that are missing or gone. Called every second. */
  check(): void {
    const nowMs = this.#options.clock.monotonic();
    this.#standby.expire(nowMs);
    for (const [key, node] of this.#nodes) {
      if (!node.check(nowMs)) continue;
      node.close('timeout');
      this.#nodes.delete(key);
      this.#limits.nodes.add(node.tenant, -1);
      this.#routes.clear();
    }
  }

  /** Returns the node and type of a topic; undefined for a topic without, which is done then. */
  #routeOf(message: BrokerMessage, from: Acknowledger): Route | undefined {
    const { topic, payload } = message;
    let parsed: ReturnType<typeof parseTopic>;
    try {
      parsed = parseTopic(topic);
    } catch (error) {
      if (!isTailraceError(error)) throw error;
      this.#options.counts.messages.invalid.add();
      this.#refuse(message, from, 'unknown_topic', error.message, { key: topic, source: this.#options.name });
      return undefined;
    }
    if (parsed.type === 'STATE') {
      this.#options.counts.messages.STATE.add();
      this.#receiveState(topic, payload);
      acknowledge(message.ticket, from);
      return undefined;
    }
    const { group, node: id } = parsed;
    const node = this.#nodeOf(group, id);
    if (node === undefined) {
      const tenant = this.#tenantOf(group, id);
      const text = this.#limits.nodesExceeded(tenant)!;
      const source = this.#context.letterSourceOf(tenant);
      this.#refuse(message, from, 'limit_reached', text, { key: nodeKey(group, id), source });
      return undefined;
    }
    const route = routeFrom(node, parsed);
    if (topic.length > topicCharactersMax) return route;
    if (this.#routes.size >= topicsMax) this.#routes.clear();
    this.#routes.set(topic, route);
    return route;
  }

  /** Returns the node, a new one if there is none; undefined at the limit. */
  #nodeOf(group: string, id: string): HostNode | undefined {
    const key = nodeKey(group, id);
    const known = this.#nodes.get(key);
    if (known !== undefined) return known;
    const tenant = this.#tenantOf(group, id);
    if (this.#limits.nodes.exceeded(tenant) !== undefined) return undefined;
    const node = new HostNode(this.#context, group, id, tenant, this.#owners.owns(key));
    this.#nodes.set(key, node);
    this.#limits.nodes.add(tenant);
    return node;
  }

  /** Returns '' for a node whose path is none. */
  #tenantOf(group: string, node: string): string {
    try {
      return tenantOf(this.#context.paths.nameOf({ group, node }));
    } catch {
      return '';
    }
  }

  #receiveState(topic: string, payload: Uint8Array): void {
    const { clock, counts, broker } = this.#options;
    const state = this.#state;
    if (state === undefined || topic !== this.#stateTopic || !this.#isStateHost) return;
    const before = state.overwritten;
    const birth = state.received(payload, clock.now());
    counts.foreignStates.add(state.overwritten - before);
    if (state.overwritten > before) this.#onForeignState.write(() => ({ topic }));
    if (birth !== undefined && this.#isOpen) broker.publish(birth);
  }

  /** Writes a dead letter of a message without a node, if this node of ingest is to do it. `key`: selects it. */
  #refuse(
    refused: BrokerMessage,
    from: Acknowledger,
    reason: DeadLetterReason,
    message: string,
    { key, source }: { readonly key: string; readonly source: string },
  ): void {
    const { topic, payload, ticket } = refused;
    if (!this.#owners.owns(key)) {
      acknowledge(ticket, from);
      return;
    }
    let receipt: Receipt | undefined;
    if (ticket >= 0) {
      receipt = new Receipt(from);
      receipt.add(ticket);
    }
    const letter = { reason, message, protocol: 'sparkplug', source, topic } as const;
    this.#writer.write({ ...letter, payload: new Uint8Array(payload) }, receipt, from);
  }

  /** Updates the bytes in reorder windows, and frees some at the limit. */
  #countHeld(node: HostNode, before: number): void {
    this.#heldBytes += node.heldBytes - before;
    if (this.#heldBytes > heldBytesMax) {
      const held = node.heldBytes;
      node.acceptGap();
      this.#heldBytes += node.heldBytes - held;
    }
    if (node.heldMessages > 0) this.#reordering.add(node);
    else this.#reordering.delete(node);
  }

  #settled(report: PendingReport, seq: number, error: TailraceError | undefined): void {
    report.origin.settled(report, seq);
    if (error === undefined) this.#options.onAccepted(report.readings, report.isClockAhead);
  }

  #nextSession(): number {
    this.#lastSession = Math.max(this.#lastSession + 1, Math.floor(this.#options.clock.now()));
    return this.#lastSession;
  }
}

const noRebirths = { waiting: 0, heldBack: 0 };

function traceparentOf({ properties }: BrokerMessage): string | undefined {
  return properties === undefined ? undefined : userProperty({ properties }, 'traceparent');
}

function acknowledge(ticket: number, from: Acknowledger): void {
  if (ticket < 0) return;
  from.settle(ticket, 0);
  from.flush();
}

function routeFrom(node: HostNode, { type, device }: NodeTopic): Route {
  return { node, type, device };
}
