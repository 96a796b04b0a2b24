import type { Timer } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';
import type { NewRecord, Position } from '../event-log.ts';
import type { GroupMember } from '../group-member.ts';
import type { LocalGroupMember } from '../local/group.ts';
import { LocalEventLog, type LocalMember, type LocalMemberOptions } from '../local/local-event-log.ts';
import type { LocalLog } from '../local/local-log.ts';
import { LocalSource, type LocalSourceOptions } from '../local/local-source.ts';
import { Reach } from './reach.ts';

/** An operation of a connection that a test may let fail. */
export type MemoryOperation =
  | 'start'
  | 'ensureTopic'
  | 'describeTopic'
  | 'append'
  /** The records are written; the answer is on its way. */
  | 'answer'
  | 'subscribe'
  | 'deliver'
  | 'read'
  | 'bounds'
  | 'positionsAt'
  | 'lag';

/** Returns the error with which the operation fails. */
export type MemoryFault = (operation: MemoryOperation) => TailraceError | undefined;

/** `connected`: works. `cut`: every call is `unavailable`. `crashed`: as a process that died. */
type Connection = 'connected' | 'cut' | 'crashed';

/**
 * One process's connection to a log in memory, with the faults that tests and the simulation let it have: an error of
 * one operation, a cut network, a crash. The members behind it are those of every other log.
 */
export class MemoryEventLog extends LocalEventLog {
  readonly #fault: MemoryFault;
  readonly #peers = new Map<LocalMember, MemoryPeer>();
  #connection: Connection = 'connected';
  #session: Timer | undefined;

  constructor(localLog: LocalLog, fault: MemoryFault) {
    super(localLog);
    this.#fault = fault;
  }

  override async start(): Promise<void> {
    const error = this.#fault('start');
    if (error !== undefined) throw error;
    await super.start();
  }

  override async close(): Promise<void> {
    if (this.#connection === 'crashed') return;
    this.#session?.cancel();
    await super.close();
  }

  override async append(topic: string, records: readonly NewRecord[]): Promise<readonly Position[]> {
    const positions = await super.append(topic, records);
    const error = records.length === 0 ? undefined : this.#fault('answer');
    if (error !== undefined) throw error;
    return positions;
  }

  /** As if the process died: no call comes any more, and its groups notice after `sessionMs`. */
  crash(sessionMs: number): void {
    this.#connection = 'crashed';
    this.#session?.cancel();
    const locals = [...this.members.keys()];
    for (const { peer } of locals) peer.abort();
    this.localLog.options.clock.after(sessionMs, () => {
      for (const local of locals) this.remove(local);
    });
  }

  /** As if the network were cut. After `sessionMs` others have the partitions, and the members do not know. */
  cutOff(sessionMs: number): void {
    if (this.#connection !== 'connected') return;
    this.#connection = 'cut';
    this.#session = this.localLog.options.clock.after(sessionMs, () => {
      for (const [local, group] of this.members) {
        this.#peers.get(local)!.expel();
        group.leave(local.peer);
      }
    });
  }

  /** The end of `cutOff`. Members that were expelled meanwhile lose what they had, and join again. */
  reconnect(): void {
    if (this.#connection !== 'cut') return;
    this.#connection = 'connected';
    this.#session?.cancel();
    for (const [local, group] of this.members) {
      const peer = this.#peers.get(local)!;
      if (peer.isExpelled) {
        local.member.revoke();
        group.rejoin(peer);
      }
      peer.reach.retry();
    }
  }

  protected override createMember(options: LocalMemberOptions): LocalMember {
    const { clock, store } = this.localLog.options;
    const { group, onError } = options.subscriber;
    const reach = new Reach({ clock, blocked: () => this.#errorOf('deliver'), report: (error) => onError?.(error) });
    const { member, source } = super.createMember(options, {
      createSource: (sourceOptions) => new MemorySource(sourceOptions, reach),
      commit: async (commits) => {
        const error = peer.isExpelled ? notAMember() : this.#errorOf('deliver');
        if (error !== undefined) throw error;
        await store.commit(group, commits);
      },
    });
    const peer = new MemoryPeer(member, reach);
    const local: LocalMember = { member, source, peer };
    this.#peers.set(local, peer);
    return local;
  }

  protected override remove(local: LocalMember): void {
    this.#peers.get(local)?.reach.close();
    this.#peers.delete(local);
    super.remove(local);
  }

  protected override assertOpen(operation: MemoryOperation): void {
    if (this.#connection === 'crashed') throw new TailraceError('closed', 'the log is closed');
    if (this.#connection === 'connected') super.assertOpen(operation);
    const error = this.#errorOf(operation);
    if (error !== undefined) throw error;
  }

  #errorOf(operation: MemoryOperation): TailraceError | undefined {
    if (this.#connection !== 'cut') return this.#fault(operation);
    return new TailraceError('unavailable', 'the log cannot be reached: the connection is cut');
  }
}

function notAMember(): TailraceError {
  return new TailraceError('unavailable', 'not a member of the group at present');
}

/** Reads nothing while the log cannot be reached. */
class MemorySource extends LocalSource {
  readonly #reach: Reach;
  #isWaiting = false;
  #isClosed = false;

  constructor(options: LocalSourceOptions, reach: Reach) {
    super(options);
    this.#reach = reach;
  }

  override close(): void {
    this.#isClosed = true;
    super.close();
  }

  protected override fill(): void {
    if (this.#isWaiting || this.#isClosed) return;
    if (this.#reach.isOpen()) {
      super.fill();
      return;
    }
    this.#isWaiting = true;
    void this.#reach.whenReached().then(() => {
      this.#isWaiting = false;
      this.fill();
    });
  }
}

/** A member as its group sees it over a connection that may be cut: what the group sends waits until it arrives. */
class MemoryPeer implements LocalGroupMember {
  readonly reach: Reach;
  /** The group has gone on without the member, and has not assigned it anything since. */
  isExpelled = false;
  readonly #member: GroupMember;
  /** Counts what the group sent: what is overtaken by something newer does not arrive. */
  #sent = 0;

  constructor(member: GroupMember, reach: Reach) {
    this.#member = member;
    this.reach = reach;
  }

  get name(): string {
    return this.#member.name;
  }

  async assign(generation: number, partitions: readonly number[]): Promise<void> {
    const sent = ++this.#sent;
    await this.reach.whenReached();
    if (sent !== this.#sent) return;
    const expelled = this.isExpelled;
    this.isExpelled = false;
    await this.#member.assign({ generation, partitions, expelled });
  }

  async release(partitions: readonly number[]): Promise<void> {
    const sent = this.#sent;
    await this.reach.whenReached();
    if (sent === this.#sent && !this.isExpelled) await this.#member.release(partitions);
  }

  revoke(partitions: readonly number[]): void {
    this.#member.revoke(partitions);
  }

  abort(): void {
    this.reach.close();
    this.#member.abort();
  }

  report(thrown: unknown): void {
    this.#member.report(thrown);
  }

  expel(): void {
    this.isExpelled = true;
    this.#sent++;
    this.reach.release();
  }
}
