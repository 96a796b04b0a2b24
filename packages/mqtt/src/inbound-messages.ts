import { type AckFormat, AckQueue } from './ack-queue.ts';
import type { MessageProperties } from './properties.ts';
import { decodePublish, type InboundPublish } from './publish.ts';
import { MqttError, type MqttVersion, mqttReasons, protocolError } from './reason.ts';
import type { SessionState } from './session-state.ts';

export interface InboundLimits {
  /** The most messages above QoS 0 without an acknowledgment. CONNACK or CONNECT names it to a peer of MQTT 5. */
  readonly receiveMaximum: number;
  readonly topicAliasMaximum: number;
  /** Of a topic that an alias keeps. */
  readonly topicCharactersMax: number;
  /** Whether a message may have them: a server sends them, a client does not (MQTT-3.3.4-6). */
  readonly allowsSubscriptionIdentifiers: boolean;
  /** Returns a new ID for a report that comes at QoS 2. */
  readonly newId: () => string;
}

/** A PUBLISH to process. */
export interface InboundMessage extends InboundPublish {
  /** For `settle`; -1 at QoS 0, which has no acknowledgment. */
  ticket: number;
  /** QoS 2: the ID of the exchange, the same at each attempt to append the message. */
  exchangeId: string | undefined;
}

const noProperties: MessageProperties = {};

/**
 * Exchanges of QoS 2 of a session that wait for PUBREL. MQTT 3.1.1 has no Receive Maximum that would limit them. Their
 * time is limited by `ServerLimits.releaseTimeoutMs`.
 */
const exchangesMax = 1024;

/** Returns the first value of a user property of MQTT 5; undefined if there is none. */
export function userProperty({ properties }: Pick<InboundMessage, 'properties'>, name: string): string | undefined {
  return properties?.userProperties?.find(([key]) => key === name)?.[1];
}

/**
 * The messages that one connection receives: topic aliases, the receive maximum, repeated messages, and the
 * acknowledgments in their order. It outlives its connection until the log has confirmed what came on it.
 *
 * A repeated message is not appended again:
 *
 * | QoS | state of the packet identifier | then |
 * | --- | --- | --- |
 * | 1 | waits for the log, and DUP is set | one PUBACK, when the log confirms |
 * | 1 | otherwise | a new message (MQTT-4.3.2-2 of 3.1.1, MQTT-4.3.2-5 of 5) |
 * | 2 | waits for the log | one PUBREC, when the log confirms |
 * | 2 | confirmed, no PUBREL yet | PUBREC again (MQTT-4.3.3-2 of 3.1.1, MQTT-4.3.3-10 of 5) |
 *
 * DUP counts for QoS 1, because clients without a memory of their own start at packet identifier 1 on each connection
 * of the same session: their new message must not count as the repetition of an older one.
 */
export class InboundMessages {
  readonly #version: MqttVersion;
  readonly #session: SessionState;
  readonly #limits: InboundLimits;
  readonly #queue: AckQueue;
  /** The ticket of the first message. */
  readonly firstTicket: number;
  #aliases: string[] | undefined;
  /** Tickets of messages whose outcome an earlier connection waits for, by `keyOf`. */
  #resumed: Map<number, number> | undefined;
  /** Messages of QoS 2 that were acknowledged by PUBREC and not released by PUBREL. */
  #unreleased = 0;
  #isDetached = false;

  constructor(version: MqttVersion, session: SessionState, limits: InboundLimits, firstTicket = 0) {
    this.#queue = new AckQueue(firstTicket);
    this.firstTicket = firstTicket;
    this.#version = version;
    this.#session = session;
    this.#limits = limits;
  }

  /** One more than the ticket of the last message. */
  get nextTicket(): number {
    return this.#queue.nextTicket;
  }

  /** Messages without an acknowledgment on the wire. */
  get size(): number {
    return this.#queue.size;
  }

  /** Messages of which the outcome is not known yet. */
  get unsettled(): number {
    return this.#queue.unsettled;
  }

  /** Whether a further message has to wait. A peer of MQTT 5 knows the limit; one of 3.1.1 does not. */
  get isFull(): boolean {
    return this.#queue.size >= this.#limits.receiveMaximum;
  }

  /** Returns the message of a PUBLISH packet; undefined for a repeated one. Throws MqttError. */
  receive(packet: Buffer): InboundMessage | undefined {
    const message = decodePublish(packet, this.#version) as InboundMessage;
    const { topicAlias, subscriptionIdentifier } = message.properties ?? noProperties;
    if (subscriptionIdentifier !== undefined && !this.#limits.allowsSubscriptionIdentifiers) {
      throw protocolError('subscription identifier: expected none from a client');
    }
    message.ticket = -1;
    message.exchangeId = undefined;
    if (topicAlias !== undefined) this.#resolveAlias(message, topicAlias);
    if (message.qos === 0) return message;
    return message.qos === 1 ? this.#receiveQos1(message) : this.#receiveQos2(message);
  }

  /** Processes a PUBREL. Returns the reason of the PUBCOMP. */
  release(packetId: number): number {
    const exchange = this.#session.exchanges?.get(packetId);
    if (exchange === undefined) return mqttReasons.packetIdNotFound;
    if (exchange.state === 'appending') throw protocolError('PUBREL: expected after PUBREC, got it before');
    this.#session.exchanges!.delete(packetId);
    if (this.#unreleased > 0) this.#unreleased--;
    return mqttReasons.success;
  }

  /**
   * Sets the outcome of a message. `takeAcks` returns its acknowledgment in its order. After the connection was closed,
   * the session keeps the outcome for a repeated message.
   */
  settle(ticket: number, reason: number, reasonString?: string): void {
    const packetId = this.#queue.packetIdOf(ticket);
    const qos = this.#queue.qosOf(ticket);
    // MQTT 3.1.1 has no negative acknowledgment.
    const sent = this.#version === 4 ? mqttReasons.success : reason;
    this.#queue.settle(ticket, sent, reasonString);
    if (qos === 2) {
      const exchange = this.#session.exchanges?.get(packetId);
      if (exchange?.by !== this) return;
      exchange.by = undefined;
      exchange.isChecked = false;
      if (sent < mqttReasons.unspecified) exchange.state = 'confirmed';
      else this.#session.exchanges!.delete(packetId);
    } else if (this.#isDetached) {
      const waiting = this.#session.unacknowledged?.get(packetId);
      if (waiting?.by !== this) return;
      waiting.by = undefined;
      waiting.reason = sent;
    }
    if (this.#isDetached) this.#session.connection?.settledEarlier(packetId, qos, sent, reasonString);
  }

  /** Takes the outcome of a message that came on an earlier connection, and was repeated on this one. */
  settledEarlier(packetId: number, qos: 1 | 2, reason: number, reasonString: string | undefined): void {
    const ticket = this.#resumed?.get(keyOf(packetId, qos));
    if (ticket === undefined) return;
    this.#resumed!.delete(keyOf(packetId, qos));
    this.#session.unacknowledged?.delete(packetId);
    this.#queue.settle(ticket, reason, reasonString);
  }

  /** Returns the acknowledgments that may be written now; undefined if there is none. */
  takeAcks(format: AckFormat): Buffer | undefined {
    const acks = this.#queue.takeSettled(format);
    this.#unreleased += this.#queue.takenReceipts();
    return acks;
  }

  /** Called when the connection is closed: what waits for the log goes to the session. Idempotent. */
  detach(): void {
    if (this.#isDetached) return;
    this.#isDetached = true;
    const session = this.#session;
    // Outcomes of the connection before were for this one alone: its packet identifiers are used for new messages.
    for (const [packetId, { reason }] of session.unacknowledged ?? []) {
      if (reason !== undefined) session.unacknowledged!.delete(packetId);
    }
    const resumed = new Set(this.#resumed?.values());
    this.#queue.forEach((ticket) => {
      if (this.#queue.qosOf(ticket) === 2 || resumed.has(ticket)) return;
      session.unacknowledged ??= new Map();
      const reason = this.#queue.reasonOf(ticket);
      session.unacknowledged.set(this.#queue.packetIdOf(ticket), { by: this, reason });
    });
  }

  #receiveQos1(message: InboundMessage): InboundMessage | undefined {
    const { packetId } = message;
    const session = this.#session;
    if (session.exchanges?.has(packetId) === true) throw identifierInUse(packetId);
    if (message.dup) {
      if (this.#queue.has(packetId, 1)) return undefined;
      const waiting = session.unacknowledged?.get(packetId);
      if (waiting !== undefined) {
        const ticket = this.#add(packetId, 1);
        if (waiting.reason === undefined) {
          this.#resume(packetId, 1, ticket);
        } else {
          session.unacknowledged!.delete(packetId);
          this.#queue.settle(ticket, waiting.reason);
        }
        return undefined;
      }
    }
    session.unacknowledged?.delete(packetId);
    message.ticket = this.#add(packetId, 1);
    return message;
  }

  #receiveQos2(message: InboundMessage): InboundMessage | undefined {
    const { packetId } = message;
    const session = this.#session;
    const exchange = session.exchanges?.get(packetId);
    if (exchange === undefined) {
      if ((session.exchanges?.size ?? 0) >= exchangesMax) {
        throw new MqttError(
          mqttReasons.receiveMaximumExceeded,
          `messages of QoS 2 without PUBREL: expected at most ${exchangesMax}, got more`,
        );
      }
      message.ticket = this.#add(packetId, 2);
      message.exchangeId = this.#limits.newId();
      session.exchanges ??= new Map();
      session.exchanges.set(packetId, {
        ...{ id: message.exchangeId, state: 'appending', by: this, of: this, isChecked: false },
      });
      return message;
    }
    if (this.#queue.has(packetId, 2)) return undefined;
    const ticket = this.#add(packetId, 2);
    exchange.of = this;
    exchange.isChecked = false;
    switch (exchange.state) {
      case 'confirmed':
        this.#queue.settle(ticket, mqttReasons.success);
        return undefined;
      case 'appending':
        this.#resume(packetId, 2, ticket);
        return undefined;
      case 'unknown':
        exchange.state = 'appending';
        exchange.by = this;
        message.ticket = ticket;
        message.exchangeId = exchange.id;
        return message;
    }
  }

  #add(packetId: number, qos: 1 | 2): number {
    const { receiveMaximum } = this.#limits;
    const unacknowledged = this.#queue.size + (this.#version === 5 ? this.#unreleased : 0);
    if (unacknowledged >= receiveMaximum) {
      throw new MqttError(
        mqttReasons.receiveMaximumExceeded,
        `unacknowledged messages: expected at most ${receiveMaximum}, got ${unacknowledged + 1}`,
      );
    }
    return this.#queue.add(packetId, qos);
  }

  #resume(packetId: number, qos: 1 | 2, ticket: number): void {
    this.#resumed ??= new Map();
    this.#resumed.set(keyOf(packetId, qos), ticket);
  }

  /** MQTT-3.3.2-7, -8, -10 and -12. */
  #resolveAlias(message: InboundMessage, alias: number): void {
    const { topicAliasMaximum, topicCharactersMax } = this.#limits;
    if (alias === 0 || alias > topicAliasMaximum) {
      throw new MqttError(
        mqttReasons.topicAliasInvalid,
        `topic alias: expected 1 to ${topicAliasMaximum}, got ${alias}`,
      );
    }
    if (message.topic.length > topicCharactersMax) {
      const text = `topic with an alias: expected at most ${topicCharactersMax} characters, got ${message.topic.length}`;
      throw new MqttError(mqttReasons.topicNameInvalid, text);
    }
    if (message.topic !== '') {
      this.#aliases ??= [];
      this.#aliases[alias] = message.topic;
      return;
    }
    const topic = this.#aliases?.[alias];
    if (topic === undefined) throw protocolError(`topic alias: expected one with a topic, got ${alias}`);
    message.topic = topic;
  }
}

function keyOf(packetId: number, qos: 1 | 2): number {
  return packetId * 4 + qos;
}

function identifierInUse(packetId: number): MqttError {
  return protocolError(`packet identifier: expected one that is not in use at QoS 2, got ${packetId}`);
}
