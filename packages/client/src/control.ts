import {
  type AlarmTransition,
  type CommandTransition,
  isFinal,
  type LeaseTransition,
} from '@tailrace/protocol/control-event-json';
import type {
  AlarmReferenceMessage,
  CommandMessage,
  ControlMessage,
  LeaseMessage,
} from '@tailrace/protocol/control-message-json';
import { type ErrorCode, TailraceError } from '@tailrace/protocol/error';
import { AlarmStore, type Alarms } from './alarm-store.ts';
import { type ClientClock, systemClock } from './clock.ts';
import { notify } from './notify.ts';
import type { ControlReply, Stream } from './stream.ts';

export type {
  AlarmActionRefused,
  AlarmEvent,
  AlarmTransition,
  CommandTransition,
  LeaseTransition,
} from '@tailrace/protocol/control-event-json';
/** The exports of `@tailrace/client/control`. */
export { isFinal } from '@tailrace/protocol/control-event-json';
export type { Alarms } from './alarm-store.ts';

/** An alarm as the person has seen it: a transition, or its names. */
export type AlarmReference = Pick<AlarmTransition, 'device' | 'rule'> &
  Partial<Pick<AlarmTransition, 'alarm' | 'number'>>;

/** A command, without the fields that the client adds. */
export interface CommandRequest extends Omit<CommandMessage, 'id' | 'deadline'> {
  /** The key of the command; the same one is the same command. Default: random. */
  readonly id?: string;
  /** Epoch ms by the server's clock. Default: 30 s from now. */
  readonly deadline?: number;
}

/** A command that was sent. It outlives connections: it is sent again with the same key, which control knows. */
export interface SentCommand {
  readonly id: string;
  /** The states so far, in order, each once; the last one is final when the command has one. */
  readonly states: readonly CommandTransition[];
  /** The last state; undefined before the first. */
  readonly last: CommandTransition | undefined;
  /**
   * Resolves with the final state: `done`, `failed`, `expired`, `canceled` or `unconfirmed`, exactly once. Rejects if
   * control has refused the command, with `closed` if the stream is closed, and at the deadline if control has not
   * accepted it: with `unavailable` if it was not sent, with the last error if each attempt was refused (`unavailable`
   * if control was away), and with `timeout` if it is not known whether control has accepted it. It is not executed
   * after its deadline.
   */
  readonly result: Promise<CommandTransition>;
  /** Why the last attempt has failed, while it is tried again; undefined: it has not, or control has answered. */
  readonly retryError: TailraceError | undefined;
  /** Calls `listener` with each further state. Returns a function that removes it. */
  onState(listener: (state: CommandTransition) => void): () => void;
  /** Calls `listener` with the error of each attempt that is repeated. Returns a function that removes it. */
  onRetry(listener: (error: TailraceError) => void): () => void;
  /** Cancels it. Resolves with the state at that time; it may be too late. Rejects before the first state. */
  cancel(): Promise<CommandTransition>;
}

/** Alarms, commands and leases over a stream. */
export interface Control {
  /** Subscribes to the alarms of a device path or a pattern. Throws as `Stream.subscribe`. */
  alarms(channel: string): Alarms;
  /** Resolves with the ID of the action when it is in the audit. Its transition or refusal follows in the alarms. */
  acknowledge(alarm: AlarmReference, note?: string): Promise<string>;
  shelve(alarm: AlarmReference, shelf: { readonly reason: string; readonly forMs: number }): Promise<string>;
  unshelve(alarm: AlarmReference, note?: string): Promise<string>;
  reset(alarm: AlarmReference, note?: string): Promise<string>;
  removeFromService(alarm: AlarmReference, note?: string): Promise<string>;
  returnToService(alarm: AlarmReference, note?: string): Promise<string>;
  /** Sends a command. Throws `limit_reached` beyond 1,000 in progress. */
  command(request: CommandRequest): SentCommand;
  /** Confirms a command of another person, by the `id` of its transition. */
  confirm(command: string): Promise<CommandTransition>;
  lease(request: Omit<LeaseMessage, 'id'>): Promise<LeaseTransition>;
  /** Rejects what is in progress. The stream stays open. Idempotent. */
  close(): void;
}

/** A command that is as late as this when no answer came would surprise people. */
const deadlineMs = 30_000;
const inProgressMax = 1_000;

/** `clock`: that of the stream, if it has another one than the system. */
export function createControl(stream: Stream, clock: ClientClock = systemClock): Control {
  return new StreamControl(stream, clock);
}

/** A request that control has not answered. */
interface Pending {
  take(reply: ControlReply): void;
  fail(error: TailraceError): void;
}

class StreamControl implements Control {
  readonly #stream: Stream;
  readonly #clock: ClientClock;
  readonly #pending = new Map<string, Pending>();
  readonly #commands = new Map<string, Command>();
  readonly #removeListeners: readonly (() => void)[];
  #ids = 0;

  constructor(stream: Stream, clock: ClientClock) {
    this.#stream = stream;
    this.#clock = clock;
    this.#removeListeners = [
      stream.onReply((reply) => this.#onReply(reply)),
      stream.onState(({ name }) => {
        if (name === 'live') this.#resend();
        else this.#lost(name === 'closed');
      }),
    ];
  }

  alarms(channel: string): Alarms {
    return new AlarmStore(this.#stream, channel);
  }

  acknowledge(alarm: AlarmReference, note?: string): Promise<string> {
    return this.#action((fields) => ({ acknowledge: fields }), alarm, note);
  }

  unshelve(alarm: AlarmReference, note?: string): Promise<string> {
    return this.#action((fields) => ({ unshelve: fields }), alarm, note);
  }

  reset(alarm: AlarmReference, note?: string): Promise<string> {
    return this.#action((fields) => ({ reset: fields }), alarm, note);
  }

  removeFromService(alarm: AlarmReference, note?: string): Promise<string> {
    return this.#action((fields) => ({ removeFromService: fields }), alarm, note);
  }

  returnToService(alarm: AlarmReference, note?: string): Promise<string> {
    return this.#action((fields) => ({ returnToService: fields }), alarm, note);
  }

  shelve(
    alarm: AlarmReference,
    { reason, forMs }: { readonly reason: string; readonly forMs: number },
  ): Promise<string> {
    return this.#action((fields) => ({ shelve: { ...fields, reason, forMs } }), alarm);
  }

  async confirm(command: string): Promise<CommandTransition> {
    return commandIn(await this.#request((id) => ({ confirm: { id, command } })));
  }

  async lease(request: Omit<LeaseMessage, 'id'>): Promise<LeaseTransition> {
    const reply = await this.#request((id) => ({ lease: { id, ...request } }));
    if ('lease' in reply) return reply.lease.events[0]!.transition;
    throw unexpected(reply);
  }

  command({ id = randomId(), deadline, ...request }: CommandRequest): SentCommand {
    if (this.#commands.size >= inProgressMax)
      throw new TailraceError('limit_reached', `expected at most ${inProgressMax} commands in progress, got one more`);
    const known = this.#commands.get(id);
    if (known !== undefined) return known;
    const nowMs = this.#stream.serverNow();
    const message = { ...request, id, deadline: deadline ?? Math.floor(nowMs + deadlineMs) };
    const sendLate = () => {
      this.#send(command);
      timer = this.#clock.after(lateRetryMs, sendLate);
    };
    let timer = this.#clock.after(Math.max(0, message.deadline - nowMs), () => {
      command.deadlinePassed();
      if (this.#commands.get(id) === command) timer = this.#clock.after(lateRetryMs, sendLate);
    });
    const command = new Command(message, {
      cancel: async (of) => commandIn(await this.#request((own) => ({ cancel: { id: own, command: of } }))),
      settled: () => {
        timer.cancel();
        this.#commands.delete(id);
      },
    });
    this.#commands.set(id, command);
    // A stream that is closed has no further state that would fail it.
    if (this.#stream.state.name === 'closed')
      command.fail(new TailraceError('closed', 'command: expected a stream with a connection, got a closed one'));
    // Without a connection it is sent when there is one.
    else this.#send(command);
    return command;
  }

  close(): void {
    for (const remove of this.#removeListeners) remove();
    this.#lost(true);
  }

  async #action(
    messageOf: (fields: AlarmReferenceMessage) => ControlMessage,
    { device, rule, alarm, number }: AlarmReference,
    note?: string,
  ): Promise<string> {
    const reply = await this.#request((id) =>
      messageOf({
        ...{ id, device, rule },
        ...(alarm === undefined ? {} : { alarm }),
        ...(number === undefined ? {} : { number }),
        ...(note === undefined ? {} : { note }),
      }),
    );
    if ('accepted' in reply) return reply.accepted.action ?? '';
    throw unexpected(reply);
  }

  #request(messageOf: (id: string) => ControlMessage): Promise<ControlReply> {
    const id = `r${++this.#ids}`;
    return new Promise((take, fail) => {
      this.#pending.set(id, { take, fail });
      if (this.#stream.request(messageOf(id))) return;
      this.#pending.delete(id);
      fail(new TailraceError('unavailable', 'expected a live connection, got none; try again'));
    });
  }

  #onReply(reply: ControlReply): void {
    const request = requestOf(reply);
    const pending = this.#pending.get(request);
    if (pending !== undefined) {
      this.#pending.delete(request);
      if ('error' in reply) pending.fail(errorFrom(reply.error));
      else pending.take(reply);
      return;
    }
    const command = this.#commands.get(request);
    if (command === undefined) return;
    if ('command' in reply) for (const { transition } of reply.command.events) command.take(transition);
    else if ('error' in reply) this.#commandFailed(command, errorFrom(reply.error));
  }

  /**
   * Control knows the key: a command that it may have accepted is sent again until its deadline, and one that it has
   * accepted until its final state is known.
   */
  #commandFailed(command: Command, error: TailraceError): void {
    if (!error.retryable) {
      command.fail(error);
      return;
    }
    // After the deadline `sendLate` sends it again.
    if (this.#stream.serverNow() < command.message.deadline)
      this.#clock.after(retryMs, () => {
        if (this.#commands.get(command.id) === command) this.#send(command);
      });
    command.attemptFailed(error);
  }

  #send(command: Command): void {
    if (this.#stream.request({ command: command.message })) command.attemptSent();
  }

  #resend(): void {
    for (const command of this.#commands.values()) this.#send(command);
  }

  /** What control answers to a lost connection is unknown. Commands continue, unless the stream is closed. */
  #lost(isClosed: boolean): void {
    const error = new TailraceError('unavailable', 'the connection was lost before the answer; its effect is unknown');
    for (const { fail } of this.#pending.values()) fail(error);
    this.#pending.clear();
    if (isClosed)
      for (const command of [...this.#commands.values()])
        command.fail(new TailraceError('closed', 'the stream was closed before the final state of the command'));
  }
}

const retryMs = 1_000;
/**
 * After the deadline, for a command that control has accepted: its final state is requested, which may have been lost
 * anywhere between control and this client.
 */
const lateRetryMs = 5_000;

class Command implements SentCommand {
  readonly message: CommandMessage;
  readonly states: CommandTransition[] = [];
  readonly result: Promise<CommandTransition>;
  readonly #owner: { cancel(command: string): Promise<CommandTransition>; settled(): void };
  readonly #listeners = new Set<(state: CommandTransition) => void>();
  #resolve: (state: CommandTransition) => void = () => {};
  #reject: (error: TailraceError) => void = () => {};
  #isSettled = false;
  #retryError: TailraceError | undefined;
  readonly #retryListeners = new Set<(error: TailraceError) => void>();
  /** Attempts that were put on a connection, and those of them that control has certainly not accepted. */
  #attempts = 0;
  #failedAttempts = 0;

  constructor(
    message: CommandMessage,
    owner: { cancel(command: string): Promise<CommandTransition>; settled(): void },
  ) {
    this.message = message;
    this.#owner = owner;
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // A program that reads the states alone has no unhandled rejection.
    this.result.catch(() => undefined);
  }

  get id(): string {
    return this.message.id;
  }

  get last(): CommandTransition | undefined {
    return this.states.at(-1);
  }

  onState(listener: (state: CommandTransition) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get retryError(): TailraceError | undefined {
    return this.#retryError;
  }

  onRetry(listener: (error: TailraceError) => void): () => void {
    this.#retryListeners.add(listener);
    return () => this.#retryListeners.delete(listener);
  }

  async cancel(): Promise<CommandTransition> {
    const { last } = this;
    if (last === undefined)
      throw new TailraceError('conflict', 'expected a command that control has accepted, got none');
    return await this.#owner.cancel(last.id);
  }

  /** Takes a state; one that is not newer comes from a command that was sent again. */
  take(transition: CommandTransition): void {
    this.#retryError = undefined;
    if (this.#isSettled || transition.number <= (this.last?.number ?? 0)) return;
    this.states.push(transition);
    const isLast = isFinal(transition);
    if (isLast) {
      this.#isSettled = true;
      this.#owner.settled();
    }
    for (const listener of [...this.#listeners]) notify(() => listener(transition));
    if (isLast) this.#resolve(transition);
  }

  /** It was put on a connection. */
  attemptSent(): void {
    this.#attempts++;
  }

  /** An attempt has failed, after which it is tried again. A timeout does not show whether control has accepted it. */
  attemptFailed(error: TailraceError): void {
    if (error.code !== 'timeout') this.#failedAttempts++;
    this.#retryError = error;
    for (const listener of [...this.#retryListeners]) notify(() => listener(error));
  }

  /** Fails it, unless control has accepted it: then its final state follows. */
  deadlinePassed(): void {
    if (this.last !== undefined) return;
    if (this.#attempts === 0)
      this.fail(new TailraceError('unavailable', 'command: expected a connection until its deadline, got none'));
    else if (this.#attempts === this.#failedAttempts && this.#retryError !== undefined) this.fail(this.#retryError);
    else
      this.fail(
        new TailraceError(
          'timeout',
          'command: expected an answer of control until its deadline, got none: it is not known whether it was accepted',
        ),
      );
  }

  fail(error: TailraceError): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#owner.settled();
    this.#reject(error);
  }
}

function requestOf(reply: ControlReply): string {
  for (const fields of Object.values(reply)) return (fields as { readonly request?: string }).request ?? '';
  return '';
}

function errorFrom({ code, message, retryable }: { code: string; message: string; retryable: boolean }): TailraceError {
  return new TailraceError(code as ErrorCode, message, { retryable });
}

function commandIn(reply: ControlReply): CommandTransition {
  if ('command' in reply) return reply.command.events[0]!.transition;
  throw unexpected(reply);
}

function unexpected(reply: ControlReply): TailraceError {
  return new TailraceError('invalid_message', `expected the answer to the request, got ${Object.keys(reply).join()}`);
}

/** Returns 96 random bits, as a key that no other client uses. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
