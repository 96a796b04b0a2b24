import { migrateStore } from '@tailrace/control/store-schema';
import type { Database, Listening, NotificationListener } from '@tailrace/database/database';
import { openPglite, type PgliteEngine } from '@tailrace/database/pglite-engine';
import type { PgliteCall } from '@tailrace/database/pglite-messages';
import type { Session, SessionResult, SessionSource } from '@tailrace/database/session';
import { SessionDatabase } from '@tailrace/database/session-database';
import { TailraceError } from '@tailrace/protocol/error';
import { embeddedTemplate } from '@tailrace/testkit/embedded-database';
import { Chance } from './chance.ts';
import { Process } from './process.ts';
import type { Scheduler } from './scheduler.ts';

/** Of a statement on its way to the server, or of its result, ms. */
const latencyMs = { min: 0.1, max: 1 };
/** Changes a statement, for the mutations. */
export type Statement = (sql: string, isInTransaction: boolean) => string;

const inspectStepMs = 20;
/** How long the server keeps the transaction of a process that is suspended, ms. */
const idleTransactionMs = 400;

/** One PostgreSQL for each thread, because a start takes a second; and the run that it is for. */
let engine: Promise<PgliteEngine> | undefined;
let current: SimulatedStore | undefined;

async function startEngine(): Promise<PgliteEngine> {
  const started = await openPglite({ directory: undefined, template: await embeddedTemplate(), logKeepBytes: 0 });
  started.onNotification((channel, payload) => current?.notified(channel, payload));
  return started;
}

/**
 * The server of the store: PostgreSQL in this thread, with the SQL and the migrations of the product. It needs no
 * timers, so that a statement is finished in the step in which it arrives.
 *
 * PGlite has one connection. So transactions run one after the other here, and a session that has one open keeps the
 * others waiting. What two transactions do to each other at once is tested on a real server.
 */
export class SimulatedStore {
  readonly scheduler: Scheduler;
  readonly #engine: PgliteEngine;
  readonly #statement: Statement;
  readonly #connections = new Set<StoreConnection>();
  /** The session with a transaction. */
  #holder: StoreSession | undefined;
  readonly #waiting: { readonly session: StoreSession; readonly start: () => void }[] = [];
  isUnavailable = false;
  statements = 0;

  private constructor(scheduler: Scheduler, started: PgliteEngine, statement: Statement) {
    this.scheduler = scheduler;
    this.#engine = started;
    this.#statement = statement;
  }

  /** Starts with an empty database. `statement`: changes each statement, for the mutations. */
  static async open(scheduler: Scheduler, statement: Statement): Promise<SimulatedStore> {
    engine ??= startEngine();
    const started = await engine;
    const store = new SimulatedStore(scheduler, started, statement);
    await started.run({ call: 'script', sql: 'ROLLBACK' });
    await started.run({ call: 'script', sql: 'UNLISTEN *; DROP SCHEMA public CASCADE; CREATE SCHEMA public' });
    // Before virtual time starts: the files of the migrations are read in real time.
    await migrateStore(new SessionDatabase(store.#source(), scheduler.clock));
    current = store;
    return store;
  }

  /** Returns a connection of a process. */
  connect(process: Process, chance: Chance): StoreConnection {
    const connection = new StoreConnection(this, process, chance);
    this.#connections.add(connection);
    return connection;
  }

  /** The server stops: transactions are rolled back, and answers on their way are lost. */
  setUnavailable(isUnavailable: boolean): void {
    this.isUnavailable = isUnavailable;
    for (const connection of this.#connections) {
      if (isUnavailable) connection.lose();
      else connection.reconnected();
    }
  }

  forget(connection: StoreConnection): void {
    this.#connections.delete(connection);
  }

  /** Resolves with what `read` finds, when virtual time passes by `run`. */
  async inspect<T>(read: (database: Database) => Promise<T>, run: (ms: number) => Promise<void>): Promise<T> {
    const process = new Process(this.scheduler, { offsetMs: 0, rate: 1 });
    const { database } = this.connect(process, new Chance(1));
    let found: { readonly value: T } | { readonly thrown: unknown } | undefined;
    void read(database).then(
      (value) => {
        found = { value };
      },
      (thrown: unknown) => {
        found = { thrown };
      },
    );
    while (found === undefined) await run(inspectStepMs);
    process.kill();
    if ('thrown' in found) throw found.thrown;
    return found.value;
  }

  /** Runs a statement when no other session has a transaction. */
  async run(session: StoreSession, call: PgliteCall): Promise<SessionResult | undefined> {
    while (this.#holder !== undefined && this.#holder !== session && !session.isLost)
      await new Promise<void>((start) => this.#waiting.push({ session, start }));
    if (session.isLost) {
      this.#next();
      throw lost();
    }
    this.statements++;
    const isStart = call.call === 'script' && call.sql.startsWith('START TRANSACTION');
    if (isStart) this.#holder = session;
    try {
      return await this.#engine.run(this.#prepared(call, this.#holder === session));
    } finally {
      const isEnd = call.call === 'query' && /^(COMMIT|ROLLBACK)$/.test(call.sql);
      if (isEnd || this.#holder !== session) this.#release(session);
    }
  }

  /** The session is closed: its transaction is rolled back. */
  close(session: StoreSession): void {
    for (const { session: waiting, start } of [...this.#waiting]) if (waiting === session) start();
    if (this.#holder !== session) return;
    void this.#engine.run({ call: 'script', sql: 'ROLLBACK' }).then(() => this.#release(session));
  }

  /** Connections without delay, that no fault affects. */
  #source(): SessionSource {
    const run = (call: PgliteCall) => this.#engine.run(this.#prepared(call, true));
    const session: Session = {
      query: async (sql, parameters) => (await run({ call: 'query', sql, parameters }))!,
      script: async (sql) => void (await run({ call: 'script', sql })),
      copy: async () => {},
      setStatementTimeout: async () => {},
      cancel: () => {},
      release: () => {},
    };
    const nothing = { busy: 0, connections: 1, connectionsMax: 1, waiting: 0, waitingMax: 0, refused: 0, lost: 0 };
    return {
      start: async () => {},
      acquire: async () => session,
      listen: async () => ({ stop: async () => {} }),
      stats: () => ({ ...nothing, connected: true }),
      close: async () => {},
    };
  }

  #release(session: StoreSession): void {
    if (this.#holder === session) this.#holder = undefined;
    this.#next();
  }

  #next(): void {
    if (this.#holder === undefined) this.#waiting.shift()?.start();
  }

  /** The clock of the server is that of the simulation. */
  #prepared(call: PgliteCall, isInTransaction: boolean): PgliteCall {
    if (call.call !== 'query' && call.call !== 'script') return call;
    const nowSeconds = (this.scheduler.clock.now() / 1_000).toFixed(6);
    const sql = this.#statement(call.sql, isInTransaction).replaceAll(
      'clock_timestamp()',
      `to_timestamp(${nowSeconds})`,
    );
    return { ...call, sql };
  }

  notified(channel: string, payload: string): void {
    for (const connection of this.#connections) connection.notified(channel, payload);
  }
}

/** The connections of one process to the store. */
export class StoreConnection implements SessionSource {
  readonly database: Database;
  readonly store: SimulatedStore;
  readonly process: Process;
  readonly #chance: Chance;
  readonly #sessions = new Set<StoreSession>();
  readonly #listeners = new Map<string, Set<NotificationListener>>();
  #isIsolated = false;
  #isCrashed = false;

  constructor(store: SimulatedStore, process: Process, chance: Chance) {
    this.store = store;
    this.process = process;
    this.#chance = chance;
    this.database = new SessionDatabase(this, process.clock);
  }

  get #isReachable(): boolean {
    return !this.store.isUnavailable && !this.#isIsolated;
  }

  start(): Promise<void> {
    return this.process.gate(this.travel().then(() => this.#assertReachable()));
  }

  acquire(): Promise<Session> {
    const opened = this.travel().then(() => {
      this.#assertReachable();
      const session = new StoreSession(this);
      this.#sessions.add(session);
      return session;
    });
    return this.process.gate(opened);
  }

  async listen(channel: string, listener: NotificationListener): Promise<Listening> {
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners.add(listener));
    const session = await this.acquire();
    await session.script(`LISTEN "${channel}"`);
    session.release();
    return { stop: async () => void listeners.delete(listener) };
  }

  stats(): ReturnType<SessionSource['stats']> {
    const connected = this.#isReachable;
    return {
      ...{
        busy: this.#sessions.size,
        connections: this.#sessions.size,
        connectionsMax: 10,
        waiting: 0,
        waitingMax: 10,
      },
      ...{ refused: 0, lost: 0, connected },
    };
  }

  async close(): Promise<void> {
    this.store.forget(this);
  }

  /** Loses all sessions. */
  lose(): void {
    for (const session of [...this.#sessions]) session.lose();
  }

  /** The network between this process and the store is lost. */
  isolate(): void {
    this.#isIsolated = true;
    this.lose();
  }

  heal(): void {
    this.#isIsolated = false;
    this.reconnected();
  }

  /** The process is killed. What it has sent arrives; then its sessions are closed. */
  crash(): void {
    this.#isCrashed = true;
    this.#listeners.clear();
    for (const session of [...this.#sessions]) session.crashed();
    this.store.forget(this);
  }

  /** The process is suspended. After some time the server closes its transactions. */
  suspended(): void {
    this.store.scheduler.at(idleTransactionMs, () => {
      if (this.process.state === 'paused') this.lose();
    });
  }

  reconnected(): void {
    if (!this.#isReachable) return;
    for (const listeners of this.#listeners.values())
      for (const listener of listeners) this.#deliver(() => listener.onReconnect());
  }

  notified(channel: string, payload: string): void {
    if (!this.#isReachable) return;
    for (const listener of this.#listeners.get(channel) ?? []) this.#deliver(() => listener.onNotification(payload));
  }

  forget(session: StoreSession): void {
    this.#sessions.delete(session);
  }

  travel(): Promise<void> {
    return this.store.scheduler.clock.sleep(this.#chance.between(latencyMs.min, latencyMs.max));
  }

  #deliver(call: () => void): void {
    void this.travel().then(() => this.process.call(call));
  }

  #assertReachable(): void {
    if (!this.#isReachable || this.#isCrashed) throw lost();
  }
}

/** One connection. */
class StoreSession implements Session {
  isLost = false;
  readonly #connection: StoreConnection;
  #inFlight = 0;
  #isCrashed = false;

  constructor(connection: StoreConnection) {
    this.#connection = connection;
  }

  async query(sql: string, parameters: readonly (string | null)[]): Promise<SessionResult> {
    return (await this.#call({ call: 'query', sql, parameters }))!;
  }

  async script(sql: string): Promise<void> {
    await this.#call({ call: 'script', sql });
  }

  async copy(sql: string, chunks: AsyncIterable<string>): Promise<void> {
    const statement = sql.replace(/STDIN$/, "'/dev/blob'");
    for await (const text of chunks) await this.#call({ call: 'copy', sql: statement, text });
  }

  async setStatementTimeout(): Promise<void> {}

  cancel(): void {}

  release(): void {
    this.#close();
  }

  lose(): void {
    this.isLost = true;
    this.#close();
  }

  crashed(): void {
    this.#isCrashed = true;
    if (this.#inFlight === 0) this.#close();
  }

  #close(): void {
    this.#connection.forget(this);
    this.#connection.store.close(this);
  }

  #call(call: PgliteCall): Promise<SessionResult | undefined> {
    return this.#connection.process.gate(this.#roundTrip(call));
  }

  async #roundTrip(call: PgliteCall): Promise<SessionResult | undefined> {
    this.#inFlight++;
    try {
      await this.#connection.travel();
      if (this.isLost) throw lost();
      const result = await this.#connection.store.run(this, call);
      await this.#connection.travel();
      if (this.isLost) throw lost();
      return result;
    } finally {
      this.#inFlight--;
      if (this.#isCrashed && this.#inFlight === 0) this.#close();
    }
  }
}

function lost(): TailraceError {
  return new TailraceError('unavailable', 'database: the connection was lost');
}
