import { isTailraceError, type TailraceError } from '@tailrace/protocol/error';
import type { Report } from '@tailrace/protocol/report';
import { EdgeNode } from '@tailrace/sparkplug/edge-node';
import type { MetricTable } from '@tailrace/sparkplug/metric-table';
import type {
  Birth,
  NodeHandlers,
  NodeMessage,
  PresenceChange,
  RebirthCause,
  SequenceGap,
  UnreadableMessage,
} from '@tailrace/sparkplug/node-events';
import type { ReadingBatch } from '@tailrace/sparkplug/readings';
import { topicOf } from '@tailrace/sparkplug/topic';
import type { DeadLetterReason } from '../dead-letters/dead-letter-reason.ts';
import type { CloseReason, SessionFacts } from '../devices/presence-events.ts';
import { type EncodedReport, recordFrom } from '../intake/record-from.ts';
import type { HostContext } from './host-context.ts';
import type { PendingReport, ReportOrigin } from './pending-report.ts';
import { Receipt } from './receipt.ts';
import { type Acknowledger, noAcknowledger } from './sparkplug-broker.ts';
import { standbyMs } from './standby-reports.ts';

/** After a reconnect of the host, an edge node that does not continue is requested to publish its birth, ms. */
export const confirmMs = 5_000;
/** One that was requested, and does not answer either, counts as offline: its NDEATH may have been lost, ms. */
export const missingMs = 60_000;
/** A node without a message for this long is removed. Its births stay stored. */
export const removeMs = 24 * 3_600_000;

/** After a stop of this node of ingest, until another one receives the messages, ms. */
const drainGraceMs = 30_000;

/** The presence of the node or of a device. */
interface NodeSession {
  readonly device: string;
  number: number;
  /** Position of its last report; -1 if unknown. */
  lastSeq: number;
}

interface ClosedSession {
  readonly session: NodeSession;
  readonly reason: CloseReason;
}

/** The ID of the node itself among those of its devices, which are never empty. */
const nodeItself = '';

/**
 * One edge node of a host. Its messages become reports, dead letters, stored births and events of presence; those of a
 * node that another node of ingest owns are only kept for some seconds, see `StandbyReports`.
 *
 * Messages that are held in the reorder window are acknowledged when all that was processed until its end is durable.
 */
export class HostNode implements NodeHandlers, ReportOrigin {
  readonly key: string;
  readonly group: string;
  readonly node: string;
  isOwned: boolean;
  /** First segment of its path; '' for a node without one. */
  readonly tenant: string;
  readonly #context: HostContext;
  readonly #edge: EdgeNode;
  /** Device paths by ID. */
  readonly #paths = new Map<string, string>();
  /** Of the node and devices that are online, by ID. */
  readonly #sessions = new Map<string, NodeSession>();
  /** Sessions that have closed, until the log has settled their reports. */
  #closing: ClosedSession[] = [];
  /** Sessions that were closed within `standbyMs` while another node of ingest was the owner: it may be gone. */
  readonly #closedWithoutOwner: (ClosedSession & { readonly atMs: number })[] = [];
  /** Reports of this node on their way into the log. */
  #unsettled = 0;
  /** Of the message that is being processed. */
  #receipt: Receipt | undefined;
  /** Of the last message. */
  #from = noAcknowledger;
  /** Of the messages since the first one that is held. */
  #heldReceipt: Receipt | undefined;
  /** Since when, after a connect, no message came, monotonic ms; undefined if one did, or none was expected. */
  #unconfirmedMs: number | undefined;
  /** When its birth was requested since then; undefined: it was not. */
  #requestedMs: number | undefined;
  #isRestored = false;
  /** Whether devices may be online without a session, because they were missing. */
  #isMissing = false;
  /** Births since `standbyMs` of a node that another node of ingest owns, by key. */
  #standbyBirths: Map<string, { readonly bytes: Uint8Array; readonly atMs: number }> | undefined;
  /** Of the payload whose hash is known. */
  #hashed: Uint8Array | undefined;
  #hash = '';

  constructor(context: HostContext, group: string, node: string, tenant: string, isOwned: boolean) {
    this.#context = context;
    this.key = `${context.name}/${group}/${node}`;
    this.group = group;
    this.node = node;
    this.tenant = tenant;
    this.isOwned = isOwned;
    const budget = context.shared.budgetOf(tenant);
    this.#edge = new EdgeNode({ handlers: this, counts: context.counts, limits: context.limits, budget });
  }

  get state(): EdgeNode['state'] {
    return this.#edge.state;
  }

  get dueMs(): number | undefined {
    return this.#edge.dueMs;
  }

  get heldMessages(): number {
    return this.#edge.heldMessages;
  }

  get heldBytes(): number {
    return this.#edge.heldBytes;
  }

  get definitions(): number {
    return this.#edge.definitions;
  }

  get isOnline(): boolean {
    return this.#edge.isOnline;
  }

  /** When the last message came, monotonic ms; undefined before the first. */
  get lastReceivedMs(): number | undefined {
    return this.#edge.lastReceivedMs;
  }

  /** Returns the metrics of the node, or of a device; undefined without a birth. */
  tableOf(device: string | undefined): MetricTable | undefined {
    return this.#edge.tableOf(device);
  }

  restore(device: string | undefined, bytes: Uint8Array): void {
    this.#isRestored = true;
    this.#edge.restore({ device, bytes });
  }

  /** Whether what it has sent before the last connect may be missing: no message came since. */
  get isUnconfirmed(): boolean {
    return this.#unconfirmedMs !== undefined;
  }

  /** Processes a message. `ticket`: of `from`; -1: it needs no acknowledgment. Hot. */
  receive(message: NodeMessage, ticket: number, from: Acknowledger, nowMs: number): void {
    let receipt = this.#heldReceipt;
    if (ticket >= 0) {
      receipt ??= new Receipt(from);
      receipt.add(ticket);
    }
    receipt?.open();
    this.#receipt = receipt;
    this.#from = from;
    this.#edge.receive(message, nowMs);
    this.#receipt = undefined;
    this.#hashed = undefined;
    if (this.#unconfirmedMs !== undefined) this.#confirm();
    if (this.#isMissing) this.#find(message);
    if (receipt === undefined) return;
    if (this.#edge.heldMessages > 0) {
      if (this.#heldReceipt === undefined) receipt.open();
      this.#heldReceipt = receipt;
    } else this.#releaseHeld();
    close(receipt);
  }

  /** Accepts the gap at the end of the reorder window. */
  tick(nowMs: number): void {
    this.#receipt = this.#heldReceipt;
    this.#edge.tick(nowMs);
    this.#receipt = undefined;
    if (this.#edge.heldMessages === 0) this.#releaseHeld();
  }

  /** Processes the held messages now, to free their memory. */
  acceptGap(): void {
    this.#receipt = this.#heldReceipt;
    this.#edge.acceptGap();
    this.#receipt = undefined;
    this.#releaseHeld();
  }

  /** The host has connected, again or after its start: messages may have been lost, an NDEATH among them. */
  connected(nowMs: number): void {
    if (!this.#edge.isOnline && !this.#isRestored) return;
    this.#unconfirmedMs = nowMs;
    this.#requestedMs = undefined;
  }

  /** Its birth was requested. */
  requested(nowMs: number): void {
    this.#requestedMs ??= nowMs;
  }

  /** Checks what depends on time. Called every second. Returns whether the node is to be removed. */
  check(nowMs: number): boolean {
    const { rebirths } = this.#context;
    if (this.#unconfirmedMs !== undefined && rebirths !== undefined && this.isOwned) {
      if (nowMs - this.#unconfirmedMs >= confirmMs && this.#requestedMs === undefined) this.#needBirth(nowMs);
      // The request may have waited: many nodes are asked after a connect.
      if (this.#requestedMs !== undefined && nowMs - this.#requestedMs >= missingMs - confirmMs) {
        this.#unconfirmedMs = undefined;
        this.#isMissing = true;
        rebirths.satisfied(this, nowMs);
        this.#closeAll('lost');
      }
    }
    if (this.#standbyBirths !== undefined) this.#expireBirths(nowMs);
    this.#expireClosed(nowMs);
    const { lastReceivedMs } = this;
    return lastReceivedMs !== undefined && nowMs - lastReceivedMs >= removeMs && this.#unsettled === 0;
  }

  /** This node of ingest became the owner, or another one did. */
  own(isOwned: boolean, nowMs: number): void {
    if (isOwned === this.isOwned) return;
    this.isOwned = isOwned;
    const { presence, births, rebirths } = this.#context;
    if (!isOwned) {
      rebirths?.forget(this);
      return;
    }
    // A session of its own supersedes that of the former owner.
    for (const session of this.#sessions.values()) {
      session.number = this.#context.nextSession();
      presence.started(factsOf(session));
    }
    this.#expireClosed(nowMs);
    for (const { session, reason } of this.#closedWithoutOwner.splice(0)) {
      session.number = this.#context.nextSession();
      presence.started(factsOf(session));
      this.#closing.push({ session, reason });
    }
    this.#reportClosed();
    this.#expireBirths(nowMs);
    for (const [key, { bytes }] of this.#standbyBirths ?? []) births.put(key, bytes);
    this.#standbyBirths = undefined;
    if (this.state === 'unsynchronized') this.#needBirth(nowMs);
  }

  /** Appends a report of this node; also one that was kept while another node of ingest was the owner. */
  append(report: PendingReport): void {
    this.#unsettled++;
    this.#context.writer.append(report);
  }

  settled({ session }: PendingReport, seq: number): void {
    this.#unsettled--;
    if (session !== undefined && seq > session.lastSeq) session.lastSeq = seq;
    this.#reportClosed();
  }

  /** Closes all sessions: the process stops, or the node is removed. */
  close(reason: CloseReason): void {
    this.#context.rebirths?.forget(this);
    this.#closeAll(reason);
    for (const id of [...this.#paths.keys()]) this.#releasePath(id);
    this.#edge.forget();
  }

  // What the edge node reports

  readings(batch: ReadingBatch): void {
    const { device, time, isHistorical, readings, payload } = batch;
    const path = this.#pathOf(device, payload);
    if (path === undefined) return;
    if (!isHistorical) this.#context.onReadings?.(path, readings);
    const id = this.#context.hasPeers && time > 0 ? this.#idOf(batch) : '';
    const report: Report = {
      device: path,
      time,
      readings,
      ...(id === '' ? {} : { id }),
      ...(isHistorical ? { historical: true } : {}),
    };
    let record: EncodedReport;
    try {
      const { grant, devices, clockAheadMs, clock } = this.#context;
      record = recordFrom(report, { grant, devices, clockAheadMs, receivedMs: clock.now() });
    } catch (error) {
      this.#refuse(error, device, payload);
      return;
    }
    const pending: PendingReport = {
      record,
      id,
      readings: readings.length,
      isClockAhead: record.clockAhead,
      origin: this,
      session: this.#sessions.get(device ?? nodeItself),
      receipt: this.isOwned ? this.#receipt : undefined,
      from: this.#from,
      traceparent: batch.traceparent ?? '',
    };
    if (this.isOwned) this.append(pending);
    else this.#context.standby.add(pending, this.#context.clock.monotonic());
  }

  presence(changes: readonly PresenceChange[]): void {
    for (const { device = nodeItself, isOnline } of changes) {
      if (isOnline) this.#start(device);
      else this.#end(device, 'death');
    }
    this.#reportClosed();
  }

  unreadable({ type, device, bytes, reason, message }: UnreadableMessage): void {
    if (!this.isOwned) return;
    const topic = topicOf({ type, group: this.group, node: this.node, ...(device === undefined ? {} : { device }) });
    this.#writeLetter(reason === 'protobuf' ? 'malformed_sparkplug' : reason, message, topic, bytes);
  }

  gap(gap: SequenceGap): void {
    this.#context.onGap(this.key, gap);
  }

  rebirthNeeded(cause: RebirthCause): void {
    if (this.isOwned) this.#context.rebirths?.need(this, cause, this.#context.clock.monotonic());
  }

  synchronized(): void {
    this.#context.rebirths?.satisfied(this, this.#context.clock.monotonic());
  }

  birth({ device, bytes }: Birth): void {
    const key = device === undefined ? this.key : `${this.key}/${device}`;
    const { births } = this.#context;
    if (this.isOwned) {
      births.put(key, bytes);
      return;
    }
    // An older one of when this node of ingest was the owner would replace that of the owner.
    if (births.isPending(key)) births.put(key, bytes);
    this.#standbyBirths ??= new Map();
    this.#standbyBirths.set(key, { bytes, atMs: this.#context.clock.monotonic() });
  }

  // Presence

  #start(id: string): void {
    this.#isMissing &&= id !== nodeItself;
    const path = this.#pathOf(id === nodeItself ? undefined : id, undefined);
    if (path === undefined) return;
    const session: NodeSession = { device: path, number: this.#context.nextSession(), lastSeq: -1 };
    this.#sessions.set(id, session);
    if (this.isOwned) this.#context.presence.started(factsOf(session));
  }

  #end(id: string, reason: CloseReason): void {
    const session = this.#sessions.get(id);
    this.#sessions.delete(id);
    if (session !== undefined && this.isOwned) this.#closing.push({ session, reason });
    else if (session !== undefined && reason === 'death')
      this.#closedWithoutOwner.push({ session, reason, atMs: this.#context.clock.monotonic() });
    // Another ID that makes the same path may use it now.
    if (reason === 'death') this.#releasePath(id);
  }

  #closeAll(reason: CloseReason): void {
    for (const id of [...this.#sessions.keys()]) this.#end(id, reason);
    this.#reportClosed();
  }

  /** Reports all closed sessions at once, when the log has settled the reports before. */
  #reportClosed(): void {
    if (this.#closing.length === 0 || this.#unsettled > 0) return;
    const { presence } = this.#context;
    for (const { session, reason } of this.#closing.splice(0))
      presence.closed(factsOf(session), reason, reason === 'drain' ? drainGraceMs : 0, session.lastSeq);
  }

  /** A message came after the reconnect. If the sequence continues, no birth is needed. */
  #confirm(): void {
    this.#unconfirmedMs = undefined;
    if (this.#edge.state === 'online') this.synchronized();
  }

  /** Starts the sessions of what was missing, and sends again. */
  #find({ type, device }: NodeMessage): void {
    if (!this.#edge.isOnline || type === 'DDEATH' || type === 'NCMD' || type === 'DCMD') return;
    if (!this.#sessions.has(nodeItself)) {
      this.#start(nodeItself);
      this.#isMissing = true;
    }
    if (device !== undefined && !this.#sessions.has(device)) this.#start(device);
  }

  // What the above share

  #releaseHeld(): void {
    const receipt = this.#heldReceipt;
    this.#heldReceipt = undefined;
    if (receipt !== undefined) close(receipt);
  }

  /** A node without the metric for it is never asked (tck-id-payloads-nbirth-rebirth-req). */
  #needBirth(nowMs: number): void {
    if (this.#edge.tableOf(undefined)?.hasRebirth !== false) this.#context.rebirths?.need(this, 'gap', nowMs);
  }

  #expireClosed(nowMs: number): void {
    while (this.#closedWithoutOwner.length > 0 && nowMs - this.#closedWithoutOwner[0]!.atMs > standbyMs)
      this.#closedWithoutOwner.shift();
  }

  #expireBirths(nowMs: number): void {
    for (const [key, { atMs }] of this.#standbyBirths ?? [])
      if (nowMs - atMs > standbyMs) this.#standbyBirths!.delete(key);
    if (this.#standbyBirths?.size === 0) this.#standbyBirths = undefined;
  }

  /**
   * Returns the device path; undefined without one, after a dead letter. `payload`: of the message that needs it;
   * undefined if another call writes the dead letter.
   */
  #pathOf(device: string | undefined, payload: Uint8Array | undefined): string | undefined {
    const known = this.#paths.get(device ?? nodeItself);
    if (known !== undefined) return known;
    try {
      const { paths, shared } = this.#context;
      shared.takePath(this.tenant);
      let path: string;
      try {
        path = paths.pathOf({ group: this.group, node: this.node, device });
      } catch (error) {
        shared.paths.add(this.tenant, -1);
        throw error;
      }
      this.#paths.set(device ?? nodeItself, path);
      return path;
    } catch (error) {
      if (payload !== undefined) this.#refuse(error, device, payload);
      else if (!isTailraceError(error)) throw error;
      return undefined;
    }
  }

  #releasePath(id: string): void {
    if (this.#paths.delete(id)) this.#context.shared.paths.add(this.tenant, -1);
    this.#context.paths.release({ group: this.group, node: this.node, device: id === nodeItself ? undefined : id });
  }

  #refuse(error: unknown, device: string | undefined, payload: Uint8Array): void {
    if (!isTailraceError(error)) throw error;
    if (!this.isOwned) return;
    const { group, node } = this;
    const topic = topicOf(
      device === undefined ? { type: 'NDATA', group, node } : { type: 'DDATA', group, node, device },
    );
    this.#writeLetter(reasonOf(error), error.message, topic, payload);
  }

  #writeLetter(reason: DeadLetterReason, message: string, topic: string, payload: Uint8Array): void {
    const { writer, letterSourceOf } = this.#context;
    const source = letterSourceOf(this.tenant);
    // A copy: the payload is a view, and the letter may have to be written again.
    const letter = { reason, message, protocol: 'sparkplug', source, topic, payload: new Uint8Array(payload) } as const;
    writer.write(letter, this.#receipt, this.#from);
  }

  /**
   * Returns the message ID of a report: the same on every node of ingest. Session, sequence number and time determine
   * the message; the hash is for nodes whose clock stands still.
   */
  #idOf({ seq, time, part, payload }: ReadingBatch): string {
    if (this.#hashed !== payload) {
      this.#hashed = payload;
      this.#hash = hashOf(payload);
    }
    return `sp.${this.#edge.bdSeq ?? ''}.${seq ?? ''}.${time.toString(36)}.${this.#hash}.${part}`;
  }
}

/** A copy: the number of a session changes with its owner. */
function factsOf({ device, number }: NodeSession): SessionFacts & { readonly protocol: string } {
  return { device, number, protocol: 'sparkplug' };
}

function close(receipt: Receipt): void {
  if (receipt.close()) receipt.from.flush();
}

function reasonOf({ code }: TailraceError): DeadLetterReason {
  switch (code) {
    case 'conflict':
      return 'path_collision';
    case 'invalid_path':
    case 'forbidden':
    case 'too_large':
    case 'limit_reached':
      return code;
    default:
      return 'invalid_report';
  }
}

/** Returns FNV-1a of the bytes, 32 bits. */
function hashOf(bytes: Uint8Array): string {
  let hash = 0x811c9dc5;
  for (let index = 0; index < bytes.length; index++) hash = Math.imul(hash ^ bytes[index]!, 0x01000193);
  return (hash >>> 0).toString(36);
}
