import { isTailraceError, TailraceError } from '@tailrace/protocol/error';
import { isSourceTime } from '@tailrace/protocol/source-time';
import type { SparkplugCounts } from './counts.ts';
import { sparkplugLimits } from './limits.ts';
import { bdSeqOf, MetricTable, type Uint64 } from './metric-table.ts';
import { type NodeDevice, NodeDevices, setPresence } from './node-devices.ts';
import type { NodeHandlers, NodeMessage, PresenceChange, RebirthCause, UnreadableMessage } from './node-events.ts';
import { assertNodeTransition, type NodeState } from './node-state.ts';
import { decodePayload, type Payload, sequenceNumberOf, sequenceNumbers, timestampOf } from './payload.ts';
import { readMetrics } from './readings.ts';
import { RecentMessages } from './recent-messages.ts';
import { defaultReorderLimits, type HeldMessage, type ReorderLimits, ReorderWindow } from './reorder-window.ts';

/** Messages in sequence after which an unsynchronized node is online again without a birth. */
const contiguousMin = 32;

export interface EdgeNodeOptions {
  readonly handlers: NodeHandlers;
  readonly counts: SparkplugCounts;
  readonly limits?: ReorderLimits;
  /** Default: none but the limit of one node. */
  readonly budget?: DefinitionBudget;
}

/** The memory of the births of all nodes. */
export interface DefinitionBudget {
  /** Returns why `bytes` more are too many, such as `at most 1000 bytes of …`; undefined if they are not. */
  exceeded(bytes: number): string | undefined;
  /** `bytes`: below 0 for less. */
  add(bytes: number): void;
}

/**
 * One Sparkplug edge node, as a host sees it: names and aliases of its births, the sequence of its messages, and the
 * presence of the node and its devices. Pure: the caller passes the time, epoch ms or of a monotonic clock, and calls
 * `tick` at `dueMs`.
 *
 * It drops no reading: a message out of sequence is held or processed, never discarded, unless it came before.
 */
export class EdgeNode {
  /** The time of the last message; undefined before the first. */
  lastReceivedMs: number | undefined;
  readonly #handlers: NodeHandlers;
  readonly #counts: SparkplugCounts;
  readonly #limits: ReorderLimits;
  readonly #window: ReorderWindow;
  readonly #recent = new RecentMessages();
  readonly #devices = new NodeDevices();
  readonly #budget: DefinitionBudget | undefined;
  /** Of the budget. */
  #definitionBytes = 0;
  #state: NodeState = 'unknown';
  #table: MetricTable | undefined;
  #bdSeq: Uint64 | undefined;
  /** The expected sequence number; undefined: any. */
  #next: number | undefined;
  #contiguous = 0;
  #diedMs = 0;
  /** Whether this session was reported for messages without sequence numbers. A birth cannot change that. */
  #hasNoSequence = false;

  constructor({ handlers, counts, limits = defaultReorderLimits, budget }: EdgeNodeOptions) {
    this.#budget = budget;
    this.#handlers = handlers;
    this.#counts = counts;
    this.#limits = limits;
    this.#window = new ReorderWindow(limits);
  }

  get state(): NodeState {
    return this.#state;
  }

  get isOnline(): boolean {
    return this.#state !== 'unknown' && this.#state !== 'offline';
  }

  /** The session of the node; undefined before its birth, and for a birth without it. */
  get bdSeq(): Uint64 | undefined {
    return this.#bdSeq;
  }

  /** When `tick` must be called, by the clock of `receive`; undefined while no message is held. */
  get dueMs(): number | undefined {
    return this.#window.dueMs;
  }

  get heldMessages(): number {
    return this.#window.size;
  }

  get heldBytes(): number {
    return this.#window.bytes;
  }

  /** Metrics in the births of the node and its devices. */
  get definitions(): number {
    return (this.#table?.size ?? 0) + this.#devices.definitions;
  }

  /** Returns what it has of its budget. Called when the node is removed. */
  forget(): void {
    this.#budget?.add(-this.#definitionBytes);
    this.#definitionBytes = 0;
  }

  /** Returns the metrics of the node, or of a device whose birth is known. */
  tableOf(device: string | undefined): MetricTable | undefined {
    return device === undefined ? this.#table : this.#devices.currentTable(device);
  }

  /** Processes a message of the node. Never throws for what the message contains. */
  receive(message: NodeMessage, nowMs: number): void {
    this.lastReceivedMs = nowMs;
    this.tick(nowMs);
    if (message.type === 'NCMD' || message.type === 'DCMD') return;
    const payload = this.#decoded(message);
    if (payload === undefined) return;
    if (message.isRetained === true) this.#receiveRetained(message, payload, nowMs);
    else if (message.type === 'NBIRTH') this.#nodeBirth(message, payload);
    else if (message.type === 'NDEATH') this.#nodeDeath(payload, nowMs);
    else this.#receiveInSequence(message, payload, nowMs);
  }

  /** Accepts the gap at the end of the reorder window. */
  tick(nowMs: number): void {
    const { dueMs } = this.#window;
    if (dueMs !== undefined && nowMs >= dueMs) this.acceptGap();
  }

  /** Processes the held messages in order, although others are missing: at the end of the window, or to free memory. */
  acceptGap(): void {
    if (this.#window.size === 0) return;
    this.#processHeld(undefined);
    this.#become('unsynchronized');
    this.#contiguous = 0;
    this.#needRebirth('gap');
  }

  /**
   * Restores a birth of an earlier run of this process, first that of the node. It resolves names and aliases, and
   * changes neither presence nor sequence. A birth of a device that is older than that of its node is ignored.
   */
  restore({ device, bytes }: { readonly device: string | undefined; readonly bytes: Uint8Array }): void {
    const message: NodeMessage = { type: device === undefined ? 'NBIRTH' : 'DBIRTH', device, bytes };
    const payload = this.#decoded(message);
    if (payload !== undefined) this.#learn(message, payload);
  }

  // Messages in sequence

  #receiveInSequence(message: NodeMessage, payload: Payload, nowMs: number): void {
    const seq = sequenceNumberOf(payload);
    const timestamp = timestampOf(payload);
    const { bytes } = message;
    if (seq === undefined) {
      this.#receiveWithoutSequence(message, payload);
      return;
    }
    if (this.#recent.has(seq, timestamp, bytes.length) || this.#window.has(seq, timestamp, bytes.length)) {
      this.#counts.duplicates++;
      return;
    }
    // The next in sequence is processed as such, whatever its timestamp: clocks of nodes step back.
    if (seq !== this.#next && this.#isOlderThanBirth(timestamp)) {
      this.#counts.late++;
      this.#recent.add(seq, timestamp, bytes.length);
      this.#process(message, payload, true);
      return;
    }
    switch (this.#state) {
      case 'unknown':
        this.#start(message, payload, seq, 'unknown_node');
        break;
      case 'offline':
        if (seq === this.#next && nowMs - this.#diedMs < this.#limits.reorderMs)
          this.#accept(message, payload, seq, true);
        else this.#start(message, payload, seq, 'unknown_node');
        break;
      case 'unsynchronized':
        this.#acceptUnsynchronized(message, payload, seq);
        break;
      default:
        this.#acceptInOrder(message, payload, seq, nowMs);
    }
  }

  #acceptInOrder(message: NodeMessage, payload: Payload, seq: number, nowMs: number): void {
    if (seq !== this.#next) {
      this.#hold(message, payload, seq, nowMs);
      return;
    }
    this.#accept(message, payload, seq, false);
    this.#releaseHeld();
  }

  /** Processes the held messages that follow, as far as none is missing. */
  #releaseHeld(): void {
    for (let held = this.#takeNext(); held !== undefined; held = this.#takeNext()) this.#acceptHeld(held);
    if (this.#state === 'reordering' && this.#window.size === 0) this.#become('online');
    else if (this.#state === 'online' && this.#window.size > 0) this.#become('reordering');
  }

  #takeNext(): HeldMessage | undefined {
    return this.#next === undefined ? undefined : this.#window.take(this.#next);
  }

  #hold({ type, device, bytes, traceparent }: NodeMessage, payload: Payload, seq: number, nowMs: number): void {
    const timestamp = timestampOf(payload);
    // A copy: `slice` of a Buffer shares its memory.
    const facts = { seq, type, device, timestamp, receivedMs: nowMs, traceparent };
    this.#window.hold({ ...facts, bytes: new Uint8Array(bytes) });
    this.#become('reordering');
    if (this.#window.isFull) this.acceptGap();
  }

  #acceptUnsynchronized(message: NodeMessage, payload: Payload, seq: number): void {
    if (seq === this.#next) this.#contiguous++;
    else {
      this.#counts.outOfSequence++;
      this.#contiguous = 0;
    }
    this.#accept(message, payload, seq, false);
    if (this.#contiguous < contiguousMin || this.#state !== 'unsynchronized') return;
    this.#become('online');
    this.#handlers.synchronized();
  }

  /** The first message of a node whose birth did not come. */
  #start(message: NodeMessage, payload: Payload, seq: number, cause: RebirthCause): void {
    this.#contiguous = 0;
    this.#counts.startsWithoutBirth++;
    this.#become('unsynchronized');
    this.#handlers.presence([{ device: undefined, isOnline: true, time: validTimeOf(payload) }]);
    this.#accept(message, payload, seq, false);
    this.#needRebirth(cause);
  }

  #receiveWithoutSequence(message: NodeMessage, payload: Payload): void {
    this.#counts.outOfSequence++;
    if (!this.isOnline) {
      this.#become('unsynchronized');
      this.#handlers.presence([{ device: undefined, isOnline: true, time: validTimeOf(payload) }]);
    } else if (this.#window.size > 0) {
      // What was sent before it is held: the order of readings matters more than the missing message.
      this.acceptGap();
    }
    this.#process(message, payload, false);
    if (this.#hasNoSequence) return;
    this.#hasNoSequence = true;
    this.#needRebirth('no_sequence');
  }

  /** `isLate`: the message is of an earlier session, so that it changes no presence. */
  #accept(message: NodeMessage, payload: Payload, seq: number, isLate: boolean): void {
    this.#next = (seq + 1) % sequenceNumbers;
    this.#recent.add(seq, timestampOf(payload), message.bytes.length);
    this.#process(message, payload, isLate);
  }

  #acceptHeld(held: HeldMessage): void {
    const payload = this.#decoded(held);
    if (payload !== undefined) this.#accept(held, payload, held.seq, false);
  }

  /** Processes held messages in order, and reports what is missing between them. `before`: only older ones. */
  #processHeld(before: number | undefined): void {
    const takeFrom = (from: number) =>
      before === undefined ? this.#window.takeNext(from) : this.#window.takeOlder(before, from);
    for (let held = takeFrom(this.#next ?? 0); held !== undefined; held = takeFrom(this.#next ?? 0)) {
      if (this.#next !== undefined && held.seq !== this.#next) {
        this.#counts.gaps++;
        this.#handlers.gap({ from: this.#next, to: (held.seq + sequenceNumbers - 1) % sequenceNumbers });
      }
      this.#acceptHeld(held);
    }
  }

  #process(message: NodeMessage, payload: Payload, isLate: boolean): void {
    const { device: id } = message;
    if (id === undefined) {
      this.#readMetrics(message, payload, this.#table, isLate);
      return;
    }
    const device = this.#deviceOf(message);
    if (device === undefined) return;
    switch (message.type) {
      case 'DBIRTH':
        this.#deviceBirth(message, payload, device, isLate);
        break;
      case 'DDEATH':
        if (!isLate) this.#setDevicePresence(id, device, false, payload);
        break;
      default: {
        const table = this.#devices.currentTable(id);
        if (!isLate) this.#setDevicePresence(id, device, true, payload);
        this.#readMetrics(message, payload, table, isLate);
        if (table === undefined && !isLate) this.#needRebirth('unknown_device');
      }
    }
  }

  #readMetrics(message: NodeMessage, payload: Payload, table: MetricTable | undefined, isLate: boolean): void {
    const problems = readMetrics(payload, table, {
      device: message.device,
      seq: sequenceNumberOf(payload),
      payload: message.bytes,
      traceparent: message.traceparent,
      isBirth: message.type === 'NBIRTH' || message.type === 'DBIRTH',
      newerOnly: message.isRetained === true,
      // The aliases of a late message are those of an earlier birth.
      hasAliases: !(isLate && table?.hasReusedAliases === true),
      counts: this.#counts,
      sink: this.#handlers,
    });
    for (const { reason, message: text, count } of problems) {
      this.#reportUnreadable(message, reason, text, count);
      if (reason === 'unknown_alias' && !isLate) this.#needRebirth('unknown_alias');
    }
  }

  // Births and deaths

  #nodeBirth(message: NodeMessage, payload: Payload): void {
    const { seq: rawSeq } = payload;
    const seq = sequenceNumberOf(payload);
    const timestamp = timestampOf(payload);
    const { bytes } = message;
    if (rawSeq !== null && rawSeq !== undefined && seq === undefined) {
      this.#reportUnreadable(message, 'invalid_report', `NBIRTH: expected a seq of 0 to 255, got ${rawSeq}`, 0);
      return;
    }
    const bdSeq = bdSeqOf(payload, undefined);
    // A node whose clock stands still may start again with the same time.
    if (seq !== undefined && bdSeq === this.#bdSeq && this.#recent.has(seq, timestamp, bytes.length)) {
      this.#counts.duplicates++;
      return;
    }
    // What was sent before the birth uses the names and aliases of before.
    if (timestamp !== undefined) this.#processHeld(timestamp);
    const table = this.#tableFrom(message, payload, this.#table);
    if (table === undefined) return;
    if (bdSeq === undefined) this.#counts.birthsWithoutBdSeq++;
    const isNewSession = !this.isOnline || bdSeq !== this.#bdSeq;
    this.#table = table;
    this.#bdSeq = bdSeq;
    this.#contiguous = 0;
    this.#next = seq === undefined ? undefined : (seq + 1) % sequenceNumbers;
    if (seq !== undefined) this.#recent.add(seq, timestamp, bytes.length);
    this.#devices.expectBirths();
    this.#become(seq === undefined ? 'unsynchronized' : 'online');
    if (isNewSession) {
      this.#hasNoSequence = seq === undefined;
      const changes: PresenceChange[] = [{ device: undefined, isOnline: true, time: validTimeOf(payload) }];
      this.#devices.disconnect(changes, validTimeOf(payload));
      this.#handlers.presence(changes);
    }
    this.#handlers.birth({ device: undefined, bytes: new Uint8Array(bytes) });
    this.#handlers.synchronized();
    this.#readMetrics(message, payload, table, false);
    if (seq === undefined) this.#processHeld(undefined);
    else this.#releaseHeld();
  }

  /**
   * NDEATH is outside of the sequence (tck-id-payloads-ndeath-seq). It is the will of a connection, so one of an
   * earlier session may come after the birth of the next.
   */
  #nodeDeath(payload: Payload, nowMs: number): void {
    const bdSeq = bdSeqOf(payload, this.#table);
    if (this.#bdSeq !== undefined && bdSeq !== undefined && bdSeq !== this.#bdSeq) {
      this.#counts.staleDeaths++;
      return;
    }
    this.#processHeld(undefined);
    const wasOffline = this.#state === 'offline';
    this.#become('offline');
    this.#diedMs = nowMs;
    if (wasOffline) return;
    const changes: PresenceChange[] = [{ device: undefined, isOnline: false, time: undefined }];
    this.#devices.disconnect(changes, undefined);
    this.#handlers.presence(changes);
  }

  #deviceBirth(message: NodeMessage, payload: Payload, device: NodeDevice, isLate: boolean): void {
    // A late birth must not replace the names and aliases of the session.
    if (isLate) {
      this.#readMetrics(message, payload, undefined, true);
      return;
    }
    const table = this.#tableFrom(message, payload, device.table);
    if (table === undefined) return;
    device.table = table;
    device.isCurrent = true;
    this.#setDevicePresence(message.device!, device, true, payload);
    this.#handlers.birth({ device: message.device, bytes: new Uint8Array(message.bytes) });
    this.#readMetrics(message, payload, table, false);
  }

  #setDevicePresence(id: string, device: NodeDevice, isOnline: boolean, payload: Payload): void {
    if (!setPresence(device, isOnline, timestampOf(payload), this.#state !== 'unsynchronized')) return;
    this.#handlers.presence([{ device: id, isOnline, time: validTimeOf(payload) }]);
  }

  // Retained and restored births

  #receiveRetained(message: NodeMessage, payload: Payload, nowMs: number): void {
    const { type } = message;
    if (type === 'NBIRTH' || type === 'DBIRTH') {
      if (!this.#learn(message, payload)) this.#counts.retainedIgnored++;
      return;
    }
    const isOwnDeath = type === 'NDEATH' && this.#bdSeq !== undefined && bdSeqOf(payload, this.#table) === this.#bdSeq;
    if (isOwnDeath) this.#nodeDeath(payload, nowMs);
    else this.#counts.retainedIgnored++;
  }

  /** Takes names and aliases from a retained or restored birth. Returns whether it was newer. */
  #learn(message: NodeMessage, payload: Payload): boolean {
    const timestamp = timestampOf(payload) ?? 0;
    if (message.device === undefined) {
      if (this.#table !== undefined && timestamp <= (this.#table.timestamp ?? 0)) return false;
      const table = this.#tableFrom(message, payload, this.#table);
      if (table === undefined) return true;
      this.#loseSequence();
      this.#table = table;
      this.#bdSeq = bdSeqOf(payload, undefined);
      this.#devices.expectBirths();
      this.#reportLearned(message, payload, table);
      return true;
    }
    const device = this.#deviceOf(message);
    if (device === undefined) return true;
    const known = device.isCurrent ? device.table?.timestamp : this.#table?.timestamp;
    if (known !== undefined && (device.isCurrent ? timestamp <= known : timestamp < known)) return false;
    const table = this.#tableFrom(message, payload, device.table);
    if (table === undefined) return true;
    device.table = table;
    device.isCurrent = true;
    this.#reportLearned(message, payload, table);
    return true;
  }

  /** A restored birth was reported by an earlier run. */
  #reportLearned(message: NodeMessage, payload: Payload, table: MetricTable): void {
    if (message.isRetained !== true) return;
    this.#handlers.birth({ device: message.device, bytes: new Uint8Array(message.bytes) });
    this.#readMetrics(message, payload, table, false);
  }

  /** A newer birth exists than the one that came, so the sequence is unknown. */
  #loseSequence(): void {
    this.#processHeld(undefined);
    this.#next = undefined;
    this.#contiguous = 0;
    if (this.isOnline) this.#become('unsynchronized');
  }

  // What the above share

  #decoded(message: NodeMessage): Payload | undefined {
    try {
      return decodePayload(message.bytes);
    } catch (error) {
      if (!isTailraceError(error)) throw error;
      this.#reportUnreadable(message, error.code === 'too_large' ? 'too_large' : 'protobuf', error.message, 0);
      return undefined;
    }
  }

  /** Returns the table that replaces `previous`; undefined at a limit of definitions. */
  #tableFrom(message: NodeMessage, payload: Payload, previous: MetricTable | undefined): MetricTable | undefined {
    const others = this.definitions - (previous?.size ?? 0);
    try {
      const table = new MetricTable(payload, previous, sparkplugLimits.definitionsMax - others);
      this.#holdDefinitions(table, previous);
      return table;
    } catch (error) {
      if (!isTailraceError(error)) throw error;
      this.#reportUnreadable(message, 'limit_reached', error.message, 0);
      return undefined;
    }
  }

  /** Throws `limit_reached` beyond the budget. */
  #holdDefinitions(table: MetricTable, previous: MetricTable | undefined): void {
    const before = (this.#table?.bytes ?? 0) + this.#devices.definitionBytes;
    const bytes = before - (previous?.bytes ?? 0) + table.bytes;
    const more = bytes - this.#definitionBytes;
    const exceeded = more > 0 ? this.#budget?.exceeded(more) : undefined;
    if (exceeded !== undefined)
      throw new TailraceError('limit_reached', `births: expected ${exceeded}, got ${more} more`);
    this.#budget?.add(more);
    this.#definitionBytes = bytes;
  }

  /** Returns the device of a message, a new one if there is none; undefined at the limit of devices. */
  #deviceOf(message: NodeMessage): NodeDevice | undefined {
    const device = this.#devices.take(message.device!);
    if (device !== undefined) return device;
    const text = `device: expected at most ${sparkplugLimits.devicesMax} devices of a node, got another one`;
    this.#reportUnreadable(message, 'limit_reached', text, 0);
    return undefined;
  }

  #isOlderThanBirth(timestamp: number | undefined): boolean {
    const birth = this.isOnline ? this.#table?.timestamp : undefined;
    return timestamp !== undefined && birth !== undefined && timestamp < birth;
  }

  /** A node without the metric for it is never asked (tck-id-payloads-nbirth-rebirth-req). */
  #needRebirth(cause: RebirthCause): void {
    if (this.#table !== undefined && !this.#table.hasRebirth) this.#counts.rebirthsImpossible++;
    else this.#handlers.rebirthNeeded(cause);
  }

  #reportUnreadable(
    { type, device, bytes }: NodeMessage,
    reason: UnreadableMessage['reason'],
    message: string,
    metrics: number,
  ): void {
    this.#handlers.unreadable({ type, device, bytes, reason, message, metrics });
  }

  #become(state: NodeState): void {
    assertNodeTransition(this.#state, state);
    this.#state = state;
  }
}

function validTimeOf({ timestamp }: Payload): number | undefined {
  return isSourceTime(timestamp) ? timestamp : undefined;
}
