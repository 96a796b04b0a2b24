import type { Will } from '@tailrace/mqtt/connect-request';
import { mqttReasons as reasons } from '@tailrace/mqtt/reason';
import type { Clock } from '@tailrace/platform/clock';
import { LimitedWarning } from '@tailrace/platform/limited-warning';
import type { Logger } from '@tailrace/platform/logger';
import { shown, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import type { Reading } from '@tailrace/protocol/report';
import { bdSeqOf } from '@tailrace/sparkplug/metric-table';
import type { OutboundMessage } from '@tailrace/sparkplug/outbound-message';
import { PathMap } from '@tailrace/sparkplug/path-map';
import { decodePayload, encodePayload } from '@tailrace/sparkplug/payload';
import { stateMessage } from '@tailrace/sparkplug/state-message';
import { type NodeTopic, namespace, nodeKey, parseTopic, stateTopicOf, topicOf } from '@tailrace/sparkplug/topic';
import type { DeliveredCommand } from '../devices/device-command.ts';
import type { CommandReporter, NamespaceClient, NamespaceMessage, TopicNamespace } from '../mqtt/topic-namespace.ts';
import { FairBuffer } from './fair-buffer.ts';
import { unsettledBytesMax } from './log-writer.ts';
import { type AllowedTopic, NodeClient } from './node-client.ts';
import { NodeCommands } from './node-commands.ts';
import { noAcknowledger } from './sparkplug-broker.ts';
import type { SparkplugHost } from './sparkplug-host.ts';

export interface SparkplugListenerOptions {
  /** Device path before the group; '' for none. */
  readonly prefix: string;
  /** ID of the primary host whose STATE edge nodes receive; '' for none. */
  readonly hostId: string;
  readonly clock: Pick<Clock, 'now' | 'monotonic'>;
  readonly logger: Logger;
}

/** Topics of one client whose form is known. */
const topicsMax = 10_000;
/** Edge nodes and devices of one client that take commands; a command for a further one fails with `limit_reached`. */
export const clientDevicesMax = 10_000;
/** While a client is paused, and the log takes nothing for this long, ms, the host is offline to its edge nodes. */
const stalledMs = 2_000;
/** Edge nodes of one client. Sparkplug has one for each connection, whose will is its death. */
export const clientNodesMax = 100;
const warningEveryMs = 60_000;
/** What an edge node publishes. */
const published: ReadonlySet<string> = new Set(['NBIRTH', 'NDATA', 'NDEATH', 'DBIRTH', 'DDATA', 'DDEATH']);

/**
 * The Sparkplug edge nodes that connect to the MQTT listener of this process: the broker of one host. No other client
 * receives their messages: it is an endpoint of a host, not a broker.
 *
 * A client may publish for the edge nodes whose paths its token covers, and receives the NCMD and DCMD of these. It
 * publishes a birth at each connect, as Sparkplug requires, so that births are not stored. When its connection closes,
 * its will is the death of its node, whatever its bdSeq: the connection of the birth is known. Without a will, also
 * after DISCONNECT, the node is offline all the same.
 *
 * A primary host has the state of this process as an MQTT server of its own (each server has its own timestamps:
 * tck-id-operational-behavior-host-application-multi-server-timestamp). An edge node receives it when it subscribes: it
 * is `online` while the log takes what edge nodes send. A process that stops, or is killed, publishes no death: the
 * connections close, and edge nodes connect to another process of the same host.
 *
 * The reports that wait for the log have a bound that the clients share, see `FairBuffer`: one that sends more than the
 * log takes is not read, and the others are. At the bound none is read. The host is offline to its edge nodes then, and
 * while the log takes nothing.
 */
export class SparkplugListener implements TopicNamespace {
  readonly level = namespace;
  readonly #paths: PathMap;
  readonly #hostId: string;
  /** '': the host is not primary. */
  readonly #stateTopic: string;
  readonly #clock: Pick<Clock, 'now' | 'monotonic'>;
  readonly #commands: NodeCommands;
  readonly #onRefused: LimitedWarning;
  readonly #clients = new Map<NamespaceClient, NodeClient>();
  /** The client of each edge node, the one that published last, by group and ID. */
  readonly #nodes = new Map<string, NamespaceClient>();
  #host: SparkplugHost | undefined;
  readonly #buffer = new FairBuffer<NodeClient>({
    bytesMax: unsettledBytesMax,
    onPause: ({ client }) => client.stopReading(),
    onResume: ({ client }) => {
      if (!this.#isFull) client.continueReading();
    },
  });
  /** When a report became durable last, or the first one came, monotonic ms. */
  #progressMs = 0;
  #isResumeDue = false;
  /** All bytes are used. */
  #isFull = false;
  #isStalled = false;
  #isDraining = false;
  #drained: (() => void) | undefined;

  /** Throws `invalid_path` for a prefix that is none. */
  constructor({ prefix, hostId, clock, logger }: SparkplugListenerOptions) {
    const nowMs = () => clock.monotonic();
    this.#paths = new PathMap({ prefix });
    this.#hostId = hostId;
    this.#stateTopic = hostId === '' ? '' : stateTopicOf(hostId);
    this.#clock = clock;
    this.#commands = new NodeCommands(nowMs);
    this.#onRefused = new LimitedWarning(
      logger.warn.bind(logger),
      'a Sparkplug client was refused',
      warningEveryMs,
      nowMs,
    );
  }

  /** Sets the host. Called once, before the first connection. */
  attach(host: SparkplugHost): void {
    this.#host = host;
    host.opened();
  }

  /** The host has read the data of a device. */
  readings(device: string, readings: readonly Reading[]): void {
    this.#commands.readings(device, readings);
  }

  /**
   * From now on a connection that closes is no death: its edge node connects to another process. Resolves when none is
   * left.
   */
  async drain(): Promise<void> {
    this.#isDraining = true;
    if (this.#clients.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
    });
  }

  // The broker of the host

  send(message: OutboundMessage): boolean {
    const { group, node } = parseTopic(message.topic) as NodeTopic;
    const client = this.#nodes.get(nodeKey(group, node));
    return client !== undefined && deliver(client, message);
  }

  /** All bytes are used: no client is read. */
  pause(): void {
    this.#change(() => {
      this.#isFull = true;
    });
    for (const client of this.#clients.keys()) client.stopReading();
  }

  resume(): void {
    this.#change(() => {
      this.#isFull = false;
    });
    for (const [client, { isPaused }] of this.#clients) if (!isPaused) client.continueReading();
  }

  /** Checks whether the log takes anything. Called every 100 ms. */
  tick(): void {
    const isIdle = this.#clock.monotonic() - this.#progressMs >= stalledMs;
    this.#change(() => {
      this.#isStalled = this.#buffer.paused > 0 && (this.#isStalled || isIdle);
    });
  }

  // For metrics

  /** Clients that are not read because of what they have sent. */
  get pausedClients(): number {
    return this.#buffer.paused;
  }

  /** Returns the most that one client has. */
  mostOfOneClient(): { readonly nodes: number; readonly devices: number; readonly bytes: number } {
    const most = { nodes: 0, devices: 0, bytes: 0 };
    for (const { nodes, owners, bytes } of this.#clients.values()) {
      most.nodes = Math.max(most.nodes, nodes.size);
      most.devices = Math.max(most.devices, owners.size);
      most.bytes = Math.max(most.bytes, bytes);
    }
    return most;
  }

  // The namespace

  assertWill(client: NamespaceClient, { topic, payload }: Will): void {
    const { topic: parsed } = this.#allowed(client, topic);
    if (parsed.type !== 'NDEATH' || bdSeqOf(decodePayload(payload), undefined) === undefined) {
      const expected = 'the NDEATH of the edge node with its bdSeq';
      throw new TailraceError('invalid_message', `will: expected ${expected}, got ${shown(topic)}`);
    }
    this.#of(client).hasWill = true;
  }

  opened(client: NamespaceClient): void {
    this.#of(client);
    if (this.#isFull) client.stopReading();
  }

  publish(client: NamespaceClient, { topic, payload, retain, ticket, properties }: NamespaceMessage): void {
    const known = this.#of(client);
    let allowed = known.topics.get(topic);
    if (allowed === undefined) {
      try {
        allowed = this.#allowed(client, topic);
      } catch (thrown) {
        this.#refuse(client, topic, thrown);
        return;
      }
      if (known.topics.size >= topicsMax) known.topics.clear();
      known.topics.set(topic, allowed);
    }
    client.pace(allowed.path);
    const { group, node } = allowed.topic;
    this.#nodes.set(nodeKey(group, node), client);
    this.#host!.receive({ topic, payload, retain, ticket, properties }, known);
  }

  subscribe(client: NamespaceClient, filter: string, qos: 0 | 1): number {
    const [, group = '', type, node = '', ...rest] = filter.split('/');
    // Without a primary host of this ID the filter is granted, and nothing comes.
    if (group === 'STATE') return qos;
    if (rest.length > 1 || /[+#]/.test(group + node)) return reasons.topicFilterInvalid;
    // Eclipse Tahu subscribes to `spBv1.0/<host ID>` too, and gives up without the grant. Nothing comes.
    if (type === undefined) return qos;
    const isCommand = type === 'NCMD' || type === 'DCMD';
    // Edge nodes subscribe to their own death, in case that another client publishes it. Here none can.
    if (!isCommand && !(type === 'NDEATH' && rest.length === 0)) return reasons.topicFilterInvalid;
    try {
      if (!client.grant.allowsDevice(this.#paths.nameOf({ group, node }))) return reasons.notAuthorized;
    } catch {
      return reasons.topicFilterInvalid;
    }
    if (isCommand) this.#of(client).takesCommands = true;
    return qos;
  }

  retained(client: NamespaceClient, filter: string): void {
    if (this.#stateTopic === '' || !stateFiltersOf(this.#hostId).includes(filter)) return;
    this.#of(client).hasState = true;
    client.sendRetained(this.#state(), filter);
  }

  closed(client: NamespaceClient, isOrderly: boolean): void {
    const known = this.#clients.get(client);
    if (known === undefined) return;
    this.#clients.delete(client);
    this.#buffer.remove(known);
    for (const [key, { group, node }] of known.nodes) {
      if (this.#nodes.get(key) !== client) continue;
      this.#nodes.delete(key);
      // Its will comes next.
      if (!isOrderly && known.hasWill) continue;
      this.#die({ group, node });
    }
    if (this.#clients.size === 0) this.#drained?.();
  }

  will(client: NamespaceClient, { topic }: Will): void {
    const { group, node } = parseTopic(topic) as NodeTopic;
    const successor = this.#nodes.get(nodeKey(group, node));
    // The edge node has connected again within the will delay.
    if (successor === undefined || successor === client) this.#die({ group, node });
  }

  takesCommands(client: NamespaceClient): boolean {
    return this.#clients.get(client)?.takesCommands === true;
  }

  deliverCommand(client: NamespaceClient, command: DeliveredCommand, reporter: CommandReporter): boolean {
    return this.#commands.deliver(command, reporter, {
      messageOf: (values) => {
        const { owners } = this.#of(client);
        const { device } = command;
        const owner = owners.get(device);
        if (owner !== undefined) return this.#host!.commandMessage(owner, values);
        if (owners.size >= clientDevicesMax) {
          const expected = `one of the first ${clientDevicesMax} that the edge node has published`;
          throw new TailraceError('limit_reached', `device: expected ${expected}, got ${device}`);
        }
        throw new TailraceError('not_found', `device: expected one that the edge node has published, got ${device}`);
      },
      send: (message) => deliver(client, message),
    });
  }

  #of(client: NamespaceClient): NodeClient {
    let known = this.#clients.get(client);
    if (known === undefined) {
      known = new NodeClient(client, (each, bytes) => this.#count(each, bytes));
      this.#clients.set(client, known);
    }
    return known;
  }

  /** Returns what a topic is about. Throws for one on which an edge node publishes nothing, or not this client. */
  #allowed(client: NamespaceClient, topic: string): AllowedTopic {
    const parsed = parseTopic(topic);
    if (!published.has(parsed.type)) {
      const expected = `one of ${[...published].join(', ')}`;
      throw new TailraceError('forbidden', `Sparkplug topic: expected ${expected}, got ${shown(topic)}`);
    }
    const { group, node, device } = parsed as NodeTopic;
    const path = this.#paths.nameOf({ group, node, device });
    if (!client.grant.allowsDevice(path)) {
      throw new TailraceError('forbidden', `${shown(path)} is not covered: ${client.grant.covers}`);
    }
    const { nodes, owners } = this.#of(client);
    const key = nodeKey(group, node);
    if (!nodes.has(key) && nodes.size >= clientNodesMax) {
      const message = `Sparkplug: expected at most ${clientNodesMax} edge nodes of one client, got ${shown(path)} besides`;
      throw new TailraceError('limit_reached', message);
    }
    nodes.set(key, { group, node });
    if (owners.size < clientDevicesMax) owners.set(path, { group, node, device });
    return { topic: parsed as NodeTopic, path };
  }

  #count(client: NodeClient, bytes: number): void {
    if (bytes > 0) {
      if (this.#buffer.used === 0) this.#progressMs = this.#clock.monotonic();
      this.#buffer.hold(client, bytes);
      return;
    }
    this.#progressMs = this.#clock.monotonic();
    this.#buffer.release(client, -bytes);
    if (this.#isResumeDue || this.#buffer.paused === 0) return;
    this.#isResumeDue = true;
    // Once for all reports of a batch.
    queueMicrotask(() => {
      this.#isResumeDue = false;
      this.#buffer.resumeDue();
    });
  }

  /** Sends the STATE if it has changed. */
  #change(change: () => void): void {
    const wasOnline = this.#isOnline;
    change();
    if (this.#isOnline === wasOnline) return;
    for (const [client, { hasState }] of this.#clients) if (hasState) client.deliver(this.#state());
  }

  /** Edge nodes of a primary host that is offline store their data. */
  get #isOnline(): boolean {
    return !this.#isFull && !this.#isStalled;
  }

  /** There is no answer to a message of QoS 0 but the end of the connection. */
  #refuse(client: NamespaceClient, topic: string, thrown: unknown): void {
    const { code, message } = tailraceErrorFrom(thrown);
    this.#onRefused.write(() => ({ device: client.device, clientId: client.clientId, topic, code, reason: message }));
    const isFull = code === 'limit_reached';
    const invalid = code === 'forbidden' ? reasons.notAuthorized : reasons.topicNameInvalid;
    client.disconnect(isFull ? reasons.quotaExceeded : invalid, message);
  }

  /**
   * The connection of an edge node is closed. The death has no bdSeq, by which the host would ignore one of another
   * connection: some edge nodes have another one in their birth than in their will.
   */
  #die({ group, node }: Pick<NodeTopic, 'group' | 'node'>): void {
    if (this.#isDraining) return;
    const topic = topicOf({ type: 'NDEATH', group, node });
    const payload = encodePayload({ timestamp: this.#clock.now() });
    this.#host!.receive({ topic, payload, retain: false, ticket: -1 }, noAcknowledger);
  }

  /** With the time of now: an edge node ignores a state that is older than the last one, also of another process. */
  #state() {
    const { payload } = stateMessage(this.#hostId, { online: this.#isOnline, timestamp: this.#clock.now() });
    return { topic: this.#stateTopic, payload: Buffer.from(payload), qos: 1, retain: true } as const;
  }
}

function stateFiltersOf(hostId: string): string[] {
  return [hostId, '+', '#'].map((last) => `${namespace}/STATE/${last}`);
}

function deliver(client: NamespaceClient, { topic, payload }: OutboundMessage): boolean {
  return client.deliver({ topic, payload: Buffer.from(payload), qos: 0 }) === 'sent';
}
