import type { Bus } from '@tailrace/bus/bus';
import type { Claims } from '@tailrace/platform/token';
import { identityOf } from '@tailrace/platform/token-identity';
import { noSpan, type Span, type Tracing } from '@tailrace/platform/tracing';
import type { AlarmReferenceMessage, ControlMessage } from '@tailrace/protocol/client-message';
import {
  commandTransitionFromProto,
  leaseActionNumber,
  leaseTransitionFromProto,
  paramsProto,
  seenProto,
} from '@tailrace/protocol/control-event';
import { type CommandTransition, isFinal } from '@tailrace/protocol/control-event-json';
import { type ErrorCode, errorCodes, TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { partitionOf } from '@tailrace/protocol/partition';
import type { ServerMessage } from '@tailrace/protocol/server-message';
import type { ControlEvent } from '../events/control-event.ts';
import type { EventHub } from '../events/event-hub.ts';
import { controlSubject } from '../subjects.ts';

const { ControlReply, ControlRequest } = tailrace.v1;

export interface ControlLimits {
  /** How long control may take to answer, ms. */
  readonly controlDeadlineMs: number;
  /** Requests to control in progress of one connection, and of one user on the node. */
  readonly controlRequestsMax: number;
  readonly userControlRequestsMax: number;
  /** Commands of one connection whose final state is still to be sent. */
  readonly commandsPerConnectionMax: number;
}

export interface ControlRequestsOptions {
  readonly bus: Pick<Bus, 'request'>;
  readonly hub: Pick<EventHub, 'watchCommands' | 'commandEvents'>;
  readonly partitions: number;
  readonly limits: ControlLimits;
  /** Default: none is traced. */
  readonly tracing?: Pick<Tracing, 'enabled' | 'sampled' | 'span'>;
}

/** What the requests of a client need of its session. No method throws. */
export interface ControlClient {
  readonly claims: Claims | undefined;
  /** Of the client, for the audit. */
  readonly address: string;
  send(message: ServerMessage): void;
  /** Sends an `error` about a request. */
  requestError(error: TailraceError, request: string): void;
}

/** The requests of all clients to control: they share one limit for each user. */
export class ControlRequests {
  readonly counts = { requests: 0, failures: 0, refused: 0, pending: 0, watched: 0 };
  readonly options: ControlRequestsOptions;
  readonly #byUser = new Map<string, number>();
  readonly #clients = new Set<ClientControl>();

  constructor(options: ControlRequestsOptions) {
    this.options = options;
  }

  /** For metrics: the requests in progress of the connection and of the user with most, and the commands. */
  get mostPending(): number {
    return mostOf(this.#clients, ({ pending }) => pending);
  }

  get mostWatched(): number {
    return mostOf(this.#clients, ({ watched }) => watched);
  }

  get mostOfUser(): number {
    return mostOf(this.#byUser.values(), (pending) => pending);
  }

  of(client: ControlClient): ClientControl {
    const made = new ClientControl(this, client, () => this.#clients.delete(made));
    this.#clients.add(made);
    return made;
  }

  /** Starts the span of a request of a client. `traceparent`: of its message, whose decision counts; '' for none. */
  span(message: ControlMessage, traceparent: string): Span {
    const { tracing } = this.options;
    const parent = traceparent === '' ? undefined : traceparent;
    if (!tracing?.enabled || !tracing.sampled(parent)) return noSpan;
    const attributes = { 'messaging.system': 'websocket', 'tailrace.message': Object.keys(message)[0]! };
    return tracing.span('receive websocket', attributes, { kind: 'server', parent });
  }

  /** Counts a request of a user. Returns a function to call when it is settled; undefined at the limit. */
  admit(user: string): (() => void) | undefined {
    const pending = this.#byUser.get(user) ?? 0;
    if (pending >= this.options.limits.userControlRequestsMax) return undefined;
    this.#byUser.set(user, pending + 1);
    this.counts.pending++;
    return () => {
      this.counts.pending--;
      const left = this.#byUser.get(user)! - 1;
      if (left > 0) this.#byUser.set(user, left);
      else this.#byUser.delete(user);
    };
  }
}

/**
 * The commands, alarm actions and lease requests of one client. Each goes to control with the verified claims of the
 * token; control checks the rights, because it also writes refusals to the audit. Nothing of the session waits for it.
 *
 * The sender of a command gets each of its states once: those that are in the log before the reply of control arrives
 * are sent after it.
 */
export class ClientControl {
  readonly #requests: ControlRequests;
  readonly #client: ControlClient;
  #pending = 0;
  /** Stops the watch of each command whose final state was not sent, by the ID of its message. */
  readonly #watched = new Map<string, () => void>();
  #isClosed = false;

  readonly #onClose: () => void;

  constructor(requests: ControlRequests, client: ControlClient, onClose: () => void) {
    this.#requests = requests;
    this.#client = client;
    this.#onClose = onClose;
  }

  /** Requests that control has not answered. */
  get pending(): number {
    return this.#pending;
  }

  /** Commands whose final state was not sent. */
  get watched(): number {
    return this.#watched.size;
  }

  /** Never throws, never rejects. */
  handle(message: ControlMessage): void {
    const id = idOf(message);
    void this.#request(id, message).catch((thrown: unknown) => {
      this.#requests.counts.failures++;
      if (!this.#isClosed) this.#client.requestError(tailraceErrorFrom(thrown), id);
    });
  }

  /** Idempotent. */
  close(): void {
    this.#isClosed = true;
    for (const stop of [...this.#watched.values()]) stop();
    this.#onClose();
  }

  async #request(id: string, message: ControlMessage): Promise<void> {
    const { options, counts } = this.#requests;
    const { controlRequestsMax, userControlRequestsMax, commandsPerConnectionMax, controlDeadlineMs } = options.limits;
    const claims = this.#client.claims!;
    if (this.#pending >= controlRequestsMax)
      throw this.#refused('rate_limited', `at most ${controlRequestsMax} requests in progress on a connection`);
    if ('command' in message && this.#watched.size >= commandsPerConnectionMax && !this.#watched.has(id))
      throw this.#refused('limit_reached', `at most ${commandsPerConnectionMax} commands in progress on a connection`);
    const settled = this.#requests.admit(identityOf(claims));
    if (settled === undefined)
      throw this.#refused('rate_limited', `at most ${userControlRequestsMax} requests in progress of a user`);
    this.#pending++;
    counts.requests++;
    // Before the request: the states that follow may be in the log before the reply is here.
    const watch = 'command' in message ? this.#watch(id, message.command.device) : undefined;
    const fields = requestOf(message);
    const span = this.#requests.span(message, fields.traceparent ?? '');
    try {
      const traceparent = span.traceparent || (fields.traceparent ?? '');
      const request = ControlRequest.encode({ requester: this.#requester(claims), ...fields, traceparent }).finish();
      const [reply] = await options.bus
        .request(controlSubject, request, { deadlineMs: controlDeadlineMs })
        .catch((thrown: unknown) => Promise.reject(withoutSubject(thrown, controlDeadlineMs)));
      if (!this.#isClosed) this.#reply(id, replyFrom(reply), watch);
      else watch?.stop();
    } catch (thrown) {
      watch?.stop();
      span.fail(thrown);
      throw thrown;
    } finally {
      span.end();
      this.#pending--;
      settled();
    }
  }

  #reply(id: string, reply: tailrace.v1.ControlReply, watch: CommandWatch | undefined): void {
    const { command, lease, alarmAction, error } = reply;
    const { partitions } = this.#requests.options;
    if (error) {
      watch?.stop();
      throw errorFrom(error);
    }
    if (command) {
      const transition = commandTransitionFromProto(command);
      const partition = partitionOf(transition.device, partitions);
      this.#client.send({ command: { view: 0, events: [{ partition, transition }], request: id } });
      watch?.known(transition);
    } else if (lease) {
      const transition = leaseTransitionFromProto(lease);
      const partition = partitionOf(transition.scope.replace(/\.?>$/, ''), partitions);
      this.#client.send({ lease: { view: 0, events: [{ partition, transition }], request: id } });
    } else if (alarmAction) this.#client.send({ accepted: { request: id, action: alarmAction } });
    else {
      watch?.stop();
      throw new TailraceError('internal', 'control: expected a reply with a result or an error, got an empty one');
    }
  }

  #watch(id: string, device: string): CommandWatch {
    this.#watched.get(id)?.();
    const { hub } = this.#requests.options;
    const { counts } = this.#requests;
    const early: ControlEvent[] = [];
    let command: { readonly id: string; number: number } | undefined;
    const take = (event: ControlEvent) => {
      if (event.kind !== 'command' || command === undefined || event.transition.id !== command.id) return;
      if (event.transition.number <= command.number) return;
      command.number = event.transition.number;
      const { partition, seq, transition } = event;
      this.#client.send({
        command: {
          view: 0,
          events: [seq === undefined ? { partition, transition } : { partition, seq, transition }],
          request: id,
        },
      });
      if (isFinal(transition)) stop();
    };
    const stopWatching = hub.watchCommands(device, (event) => {
      if (command === undefined) early.push(event);
      else take(event);
      // The board has them, too.
      if (early.length > earlyMax) early.shift();
    });
    const stop = () => {
      if (this.#watched.get(id) !== stop) return;
      this.#watched.delete(id);
      counts.watched--;
      stopWatching();
    };
    this.#watched.set(id, stop);
    counts.watched++;
    return {
      stop,
      known(transition) {
        command = { id: transition.id, number: transition.number };
        if (isFinal(transition) || transition.id === '') {
          stop();
          return;
        }
        for (const event of hub.commandEvents(device, transition.id)) take(event);
        for (const event of early.splice(0)) take(event);
      },
    };
  }

  #requester(claims: Claims): tailrace.v1.Requester.$Properties {
    const { subject, tokenId = '', tenant = '', roles = [], command = [], subscribe } = claims;
    const { address } = this.#client;
    return {
      ...{ subject, tokenId, tenant, address },
      roles: [...roles],
      command: [...command],
      subscribe: [...subscribe],
    };
  }

  #refused(code: ErrorCode, expected: string): TailraceError {
    this.#requests.counts.refused++;
    return new TailraceError(code, `expected ${expected}, got one more; wait for the replies`);
  }
}

/** Events of a partition that are held until control has replied. */
const earlyMax = 1_000;

interface CommandWatch {
  /** The reply of control: further states are sent from this one on. */
  known(transition: CommandTransition): void;
  stop(): void;
}

function mostOf<T>(items: Iterable<T>, of: (item: T) => number): number {
  let most = 0;
  for (const item of items) most = Math.max(most, of(item));
  return most;
}

function idOf(message: ControlMessage): string {
  for (const fields of Object.values(message)) return (fields as { readonly id: string }).id;
  return '';
}

/** Returns the request of `ControlRequest` for a message. */
function requestOf(message: ControlMessage): tailrace.v1.ControlRequest.$Properties {
  if ('command' in message) {
    const { params = {}, qos = 1, lease = 0, seen, traceparent = '', ...command } = message.command;
    return { traceparent, command: { ...command, params: paramsProto(params), qos, lease, seen: seenProto(seen) } };
  }
  if ('cancel' in message) return { decision: { id: message.cancel.command, kind: 1 } };
  if ('confirm' in message) return { decision: { id: message.confirm.command, kind: 2 } };
  if ('lease' in message) {
    const { scope, action, forMs = 0, token = 0 } = message.lease;
    return { lease: { scope, action: leaseActionNumber(action), forMs, token } };
  }
  if ('shelve' in message) {
    const { id: _, reason, ...alarm } = message.shelve;
    return { alarm: { ...alarm, kind: 'shelve', note: reason } };
  }
  const [[kind, { id: _, ...alarm }]] = Object.entries(message) as [[string, AlarmReferenceMessage]];
  return { alarm: { ...alarm, kind: kindWords[kind] ?? kind } };
}

/** Kinds whose name differs in AlarmActionRequest. */
const kindWords: Readonly<Record<string, string>> = {
  removeFromService: 'remove_from_service',
  returnToService: 'return_to_service',
};

function replyFrom(bytes: Uint8Array | undefined): tailrace.v1.ControlReply {
  try {
    return ControlReply.decode(bytes ?? new Uint8Array(0));
  } catch (cause) {
    throw new TailraceError('internal', `control: expected a ControlReply, got ${bytes?.length} other bytes`, {
      cause,
    });
  }
}

/** The sender gets what it can do about it; subjects and addresses of the bus are for the log. */
function withoutSubject(cause: unknown, deadlineMs: number): unknown {
  const code = tailraceErrorFrom(cause).code;
  if (code === 'unavailable')
    return new TailraceError(code, 'control: expected an answer, got none: it is away at present; try again', {
      cause,
    });
  if (code === 'timeout')
    return new TailraceError(
      code,
      `control: expected an answer within ${deadlineMs} ms, got none: the effect of the request is not known`,
      { cause },
    );
  return cause;
}

/** Codes of a later control are passed on. */
function errorFrom({ code, message, retryable }: tailrace.v1.IControlError): TailraceError {
  const known = errorCodes.find((each) => each === code) ?? 'internal';
  return new TailraceError(known, message ?? '', { retryable: retryable ?? false });
}
