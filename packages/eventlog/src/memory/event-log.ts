import type { Timer } from '@tailrace/platform/clock';
import { TailraceError } from '@tailrace/protocol/error';
import type { NewRecord, Position } from '../event-log.ts';
import type { GroupMember } from '../group-member.ts';
import type { LocalGroupMember } from '../local/group.ts';
import { LocalEventLog, type LocalMember, type LocalMemberOptions } from '../local/local-event-log.ts';
import type { LocalLog } from '../local/local-log.ts';
import { LocalSource, type LocalSourceOptions } from '../local/local-source.ts';
import { closedError } from '../log-state.ts';
import { Reachability } from './reachability.ts';

/** An operation of a connection that a test can make fail. */
export type MemoryOperation =
  | 'start'
  | 'ensureTopic'
  | 'describeTopic'
  | 'append'
  /** The records are written; the answer is lost. */
  | 'answer'
  | 'subscribe'
  | 'deliver'
  | 'read'
  | 'bounds'
  | 'positionsAt'
  | 'lag';

/** Returns the error with which the operation fails, if any. */
export type ErrorInjector = (operation: MemoryOperation) => TailraceError | undefined;

/** `connected`: in use. `disconnected`: every call is `unavailable`. `crashed`: as in a process that has crashed. */
type Connection = 'connected' | 'disconnected' | 'crashed';

/**
 * A connection of one process to a log in memory, with error injection for tests and the simulation: an error of one
 * operation, a lost network connection, a crash. Its members are those of the other adapters.
 */
export class MemoryEventLog extends LocalEventLog {
  readonly #injectError: ErrorInjector;
  readonly #peers = new Map<LocalMember, MemoryPeer>();
  #connection: Connection = 'connected';
  #session: Timer | undefined;

  constructor(localLog: LocalLog, injectError: ErrorInjector) {
    super(localLog);
    this.#injectError = injectError;
  }

  override async start(): Promise<void> {
    const error = this.#injectError('start');
    if (error !== undefined) throw error;
    await super.start();
  }

  override async close(): Promise<void> {
    if (this.#connection === 'crashed') return;
    this.#session?.cancel();
    await super.close();
  }

  override async append(topic: string, records: readonly NewRecord[], sender?: object): Promise<readonly Position[]> {
    const positions = await super.append(topic, records, sender);
    const error = records.length === 0 ? undefined : this.#injectError('answer');
    if (error !== undefined) throw error;
    return positions;
  }

  /** Simulates a crash: there are no further calls, and its groups remove its members after `sessionMs`. */
  crash(sessionMs: number): void {
    this.#connection = 'crashed';
    this.#session?.cancel();
    const locals = [...this.members.keys()];
    for (const { peer } of locals) peer.abort();
    this.localLog.options.clock.after(sessionMs, () => {
      for (const local of locals) this.remove(local);
    });
  }

  /** Simulates a lost network connection. After `sessionMs` others have its partitions, unknown to its members. */
  disconnect(sessionMs: number): void {
    if (this.#connection !== 'connected') return;
    this.#connection = 'disconnected';
    this.#session = this.localLog.options.clock.after(sessionMs, () => {
      for (const [local, group] of this.members) {
        this.#peers.get(local)!.expel();
        group.leave(local.peer);
      }
    });
  }

  /** Restores the connection after `disconnect`. Expelled members lose their partitions, and join again. */
  reconnect(): void {
    if (this.#connection !== 'disconnected') return;
    this.#connection = 'connected';
    this.#session?.cancel();
    for (const [local, group] of this.members) {
      const peer = this.#peers.get(local)!;
      if (peer.isExpelled) {
        local.member.revoke();
        group.rejoin(peer);
      }
      peer.reachability.retry();
    }
  }

  protected override createMember(options: LocalMemberOptions): LocalMember {
    const { clock, store } = this.localLog.options;
    const { group, onError } = options.subscriber;
    const reachability = new Reachability({
      clock,
      blocked: () => this.#errorOf('deliver'),
      report: (error) => onError?.(error),
    });
    const { member, source } = super.createMember(options, {
      createSource: (sourceOptions) => new MemorySource(sourceOptions, reachability),
      commit: async (commits) => {
        const error = peer.isExpelled ? notAMember() : this.#errorOf('deliver');
        if (error !== undefined) throw error;
        await store.commit(group, commits);
      },
    });
    const peer = new MemoryPeer(member, reachability);
    const local: LocalMember = { member, source, peer };
    this.#peers.set(local, peer);
    return local;
  }

  protected override remove(local: LocalMember): void {
    this.#peers.get(local)?.reachability.close();
    this.#peers.delete(local);
    super.remove(local);
  }

  protected override assertOpen(operation: MemoryOperation): void {
    if (this.#connection === 'crashed') throw closedError(`call ${operation}`);
    if (this.#connection === 'connected') super.assertOpen(operation);
    const error = this.#errorOf(operation);
    if (error !== undefined) throw error;
  }

  #errorOf(operation: MemoryOperation): TailraceError | undefined {
    if (this.#connection !== 'disconnected') return this.#injectError(operation);
    return new TailraceError('unavailable', 'the log cannot be reached: the connection is lost');
  }
}

function notAMember(): TailraceError {
  return new TailraceError('unavailable', 'not a member of the group at present');
}

/** A source that reads nothing while the log is unreachable. */
class MemorySource extends LocalSource {
  readonly #reachability: Reachability;
  #isWaiting = false;
  #isClosed = false;

  constructor(options: LocalSourceOptions, reachability: Reachability) {
    super(options);
    this.#reachability = reachability;
  }

  override close(): void {
    this.#isClosed = true;
    super.close();
  }

  protected override fill(): void {
    if (this.#isWaiting || this.#isClosed) return;
    if (this.#reachability.isOpen()) {
      super.fill();
      return;
    }
    this.#isWaiting = true;
    void this.#reachability.whenReachable().then(() => {
      this.#isWaiting = false;
      this.fill();
    });
  }
}

/** A member for its group over a connection that may be lost: calls of the group wait until it is restored. */
class MemoryPeer implements LocalGroupMember {
  readonly reachability: Reachability;
  /** Whether the group has expelled the member, and has not assigned it partitions since. */
  isExpelled = false;
  readonly #member: GroupMember;
  /** Number of assignments: an older one that still waits is dropped. */
  #sent = 0;

  constructor(member: GroupMember, reachability: Reachability) {
    this.#member = member;
    this.reachability = reachability;
  }

  get name(): string {
    return this.#member.name;
  }

  async assign(generation: number, partitions: readonly number[]): Promise<void> {
    const sent = ++this.#sent;
    await this.reachability.whenReachable();
    if (sent !== this.#sent) return;
    const expelled = this.isExpelled;
    this.isExpelled = false;
    await this.#member.assign({ generation, partitions, expelled });
  }

  async release(partitions: readonly number[]): Promise<void> {
    const sent = this.#sent;
    await this.reachability.whenReachable();
    if (sent === this.#sent && !this.isExpelled) await this.#member.release(partitions);
  }

  revoke(partitions: readonly number[]): void {
    this.#member.revoke(partitions);
  }

  abort(): void {
    this.reachability.close();
    this.#member.abort();
  }

  report(thrown: unknown): void {
    this.#member.report(thrown);
  }

  expel(): void {
    this.isExpelled = true;
    this.#sent++;
    this.reachability.release();
  }
}
