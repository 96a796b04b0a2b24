import type { Clock, Timer } from '@tailrace/platform/clock';
import { RateLimit } from '@tailrace/platform/rate-limit';
import { noSpan, type Span } from '@tailrace/platform/tracing';
import { commandContentOf } from '@tailrace/protocol/command-content';
import type {
  CommandOutcome,
  CommandReference,
  CommandRequest,
  CommandState,
  DeviceCommand,
} from '@tailrace/protocol/device-command';
import { type ErrorCode, shown, TailraceError } from '@tailrace/protocol/error';
import type { CommandEvents, CommandReply, CommandSession } from '../devices/device-command.ts';
import type { CommandCounts } from './command-metrics.ts';
import { CommandOutcomes } from './command-outcomes.ts';
import { lateText, type Refusal, type RefusalPorts, refusalOf, routeOf } from './command-refusal.ts';
import type { CommandTracing } from './command-tracing.ts';
import { Fences } from './fences.ts';

/** How long a device may take to confirm that it has a command; then it is sent again. */
export const receiptMs = 5_000;
/** How often a command is sent to its device. */
export const attemptsMax = 3;
/** A command is not sent again with less time left. */
const resendLeftMs = 1_000;
/** When a command is tried again that found too much waiting for its device. */
const fullRetryMs = 100;
/** How long after the deadline a device may report what became of a command. */
export const replyGraceMs = 5_000;
/** How long after `unconfirmed` a report of the device still corrects it. */
export const correctionMs = 60_000;

export interface DeviceCommandLimits {
  /** Commands that wait for their device or for its reply. */
  readonly commandsMax: number;
  /** The same of one device. */
  readonly deviceCommandsMax: number;
  readonly outcomesMax: number;
}

export interface DeviceCommandOptions extends RefusalPorts {
  readonly clock: Clock;
  readonly counts: CommandCounts;
  readonly limits: DeviceCommandLimits;
  /** Default: none is traced. */
  readonly tracing?: Pick<CommandTracing, 'sent' | 'finished'>;
  /** Publishes an outcome, at most once. */
  publish(outcome: CommandOutcome): void;
}

/**
 * - `waiting`: for the device to confirm the receipt of an earlier command, or for its socket. Nothing was sent.
 * - `sent`: written to the device, which has not confirmed its receipt. At most one command of a device.
 * - `delivered`: the device has it, and has not reported what became of it.
 */
type ActiveState = 'waiting' | 'sent' | 'delivered';

class ActiveCommand {
  readonly command: DeviceCommand;
  /** As `commandContentOf` returns it. */
  readonly content: string;
  readonly queue: DeviceQueue;
  /** The only session that it may be sent to; undefined: any. */
  readonly only: CommandSession | undefined;
  /** Monotonic ms. */
  readonly startedMs: number;
  readonly expiresMs: number;
  state: ActiveState = 'waiting';
  attempt = 0;
  isCanceled = false;
  /** To which it was last sent. */
  session: CommandSession | undefined;
  timer: Timer | undefined;
  /** From when it is written to its device to its outcome. */
  span: Span = noSpan;

  constructor(command: DeviceCommand, content: string, queue: DeviceQueue, startedMs: number, expiresMs: number) {
    this.command = command;
    this.content = content;
    this.queue = queue;
    this.only = command.session === 0 ? undefined : queue.session;
    this.startedMs = startedMs;
    this.expiresMs = expiresMs;
  }
}

/** The commands of one device, in the order of their requests. */
interface DeviceQueue {
  readonly device: string;
  /** The device that has the session: this one, or the gateway in front of it. */
  readonly route: string;
  readonly commands: ActiveCommand[];
  session: CommandSession;
}

/** Fields of an outcome that differ from those of a command that is under way. */
type OutcomeFields = Partial<Omit<CommandOutcome, 'id' | 'device' | 'state' | 'time' | 'node'>>;

/**
 * The commands for the devices of this node, from their request to their outcome.
 *
 * A command passes `request`, which refuses it or returns `accepted`; `#deliver`, when its turn has come; `#send`,
 * which writes it to the session of its device; `commandReceived` and `commandReplied`, which the session calls; and
 * `#finish`. Its timer is of its state: until its deadline, its receipt, or its reply.
 *
 * What it guarantees, as long as this process runs:
 * - A command is not sent after its deadline, by the wall clock and by the monotonic one, whichever is earlier.
 * - A command with an ID that was sent before is not accepted again: its last outcome is returned, or `conflict` if it
 *   has another content.
 * - A command that names a session is sent to no other one.
 * - It is sent a second time only while its device has not confirmed its receipt, and never with `qos` 0.
 * - A command that is canceled is not sent from then on, and its ID is not accepted again.
 * - Of each accepted command one final outcome is published, and after `unconfirmed` at most one correction.
 *
 * A device without a session gets no commands: nothing waits here for a device that is away.
 */
export class DeviceCommands implements CommandEvents {
  readonly outcomes: CommandOutcomes;
  readonly #options: DeviceCommandOptions;
  readonly #active = new Map<string, ActiveCommand>();
  /** By route and device. */
  readonly #queues = new Map<string, DeviceQueue>();
  readonly #byRoute = new Map<string, Set<DeviceQueue>>();
  readonly #fences = new Fences();
  /** Outcomes of commands that another node has sent, of each session. */
  readonly #otherOutcomes = new RateLimit(1, 16);
  readonly #otherOutcomeTats = new WeakMap<CommandSession, number>();

  constructor(options: DeviceCommandOptions) {
    this.#options = options;
    this.outcomes = new CommandOutcomes(options.limits.outcomesMax);
  }

  /** Commands that wait for their device or for its reply. */
  get size(): number {
    return this.#active.size;
  }

  /** Returns the most commands of one device. For metrics. */
  mostOfOneDevice(): number {
    let most = 0;
    for (const { commands } of this.#queues.values()) most = Math.max(most, commands.length);
    return most;
  }

  /** Returns the reply to a request. Throws `not_found` for a query or cancel of a command that is not known. */
  request(request: CommandRequest): CommandOutcome {
    if ('command' in request) return this.#request(request.command);
    if ('query' in request) return this.#outcomeFor(request.query);
    this.#cancel(request.cancel);
    return this.#outcomeFor(request.cancel);
  }

  #outcomeFor({ id, device }: CommandReference): CommandOutcome {
    const known = this.outcomes.get(id);
    if (known?.outcome.device === device) return known.outcome;
    throw new TailraceError('not_found', `no command ${shown(id)} of ${device} is known on this node`);
  }

  /** Refuses commands that were not sent, after a change of `offReason`. */
  refuseOff(): void {
    for (const queue of [...this.#queues.values()]) {
      const reason = this.#options.offReason(queue.device);
      if (reason === undefined) continue;
      for (const active of [...queue.commands]) if (active.state === 'waiting') this.#fail(active, 'forbidden', reason);
      this.#deliver(queue);
    }
  }

  /** Stops the timers. */
  close(): void {
    for (const { timer } of this.#active.values()) timer?.cancel();
  }

  // From the sessions.

  sessionOpened(session: CommandSession): void {
    for (const queue of [...(this.#byRoute.get(session.device) ?? [])]) {
      queue.session = session;
      const sent = queue.commands.find(({ state }) => state === 'sent');
      // The session before has not confirmed its receipt. The device executes an ID once.
      if (sent !== undefined && sent.session !== session) this.#resend(sent);
      this.#deliver(queue);
    }
  }

  sessionClosed(session: CommandSession, successor: string): void {
    const { device } = session;
    for (const queue of [...(this.#byRoute.get(device) ?? [])]) {
      if (queue.session !== session) continue;
      const next = this.#options.sessionOf(device);
      // It claims the device now, and is opened or closed next.
      if (next !== undefined && next !== session) queue.session = next;
      else this.#sessionLost(queue, successor);
    }
  }

  commandReceived(session: CommandSession, id: string): boolean {
    const active = this.#active.get(id);
    if (active === undefined) return covers(session, this.outcomes.get(id)?.outcome.device);
    if (!covers(session, active.command.device)) return false;
    if (active.state === 'sent') {
      this.#received(active);
      this.#deliver(active.queue);
    }
    return true;
  }

  commandReplied(session: CommandSession, device: string, reply: CommandReply): boolean {
    const active = this.#active.get(reply.id);
    if (active !== undefined) {
      if (!covers(session, active.command.device)) return false;
      this.#finish(active, reply.state, fieldsOf(reply), 'device');
      this.#deliver(active.queue);
      return true;
    }
    const known = this.outcomes.get(reply.id);
    if (known === undefined) return this.#repliedOther(session, device, reply);
    const { code: _code, ...outcome } = known.outcome;
    if (!covers(session, outcome.device)) return false;
    const isLate = this.#options.clock.monotonic() - known.atMs > correctionMs;
    if (outcome.state === 'unconfirmed' && reply.state !== 'unconfirmed' && !isLate) {
      this.#options.counts.corrected.add();
      this.#publish({ ...outcome, ...fieldsOf(reply), state: reply.state }, known.content, true, known.neededMs);
    }
    return true;
  }

  #cancel({ id, device }: CommandReference): void {
    const active = this.#active.get(id);
    if (active === undefined || active.command.device !== device) return;
    active.isCanceled = true;
    if (active.state !== 'waiting') return;
    this.#options.counts.canceled.add();
    this.#fail(active, 'canceled', 'its requester has canceled it before it was sent');
    this.#deliver(active.queue);
  }

  #request(command: DeviceCommand): CommandOutcome {
    const { clock, counts } = this.#options;
    const { id, device } = command;
    const known = this.outcomes.get(id);
    if (known !== undefined && known.outcome.device !== device)
      return this.#refused(command, {
        ...{ state: 'failed', code: 'invalid_message' },
        message: `id: expected one that no other device has, got ${shown(id)}`,
      });
    const content = commandContentOf(command);
    if (known !== undefined && known.content !== content)
      return this.#refused(command, {
        ...{ state: 'failed', code: 'conflict' },
        message: `id: expected a new one, got ${shown(id)}, which a command with another content has`,
      });
    // Refused before anything was sent: the requester may try again.
    if (known !== undefined && (known.wasSent || this.#active.has(id))) {
      counts.duplicates.add();
      return known.outcome;
    }
    const refusal = refusalOf(command, this.#options, {
      leftMs: this.#leftMs(command),
      staleReason: () => this.#fences.staleReason(device, command.fence),
      fullReason: () => this.#fullReason(command),
    });
    if (refusal !== undefined) return this.#refused(command, refusal);
    const session = this.#options.sessionOf(routeOf(command))!;
    this.#fences.add(device, command.fence);
    const nowMs = clock.monotonic();
    const queue = this.#queueOf(command, session);
    const active = new ActiveCommand(command, content, queue, nowMs, nowMs + this.#leftMs(command));
    this.#active.set(id, active);
    queue.commands.push(active);
    counts.protocols[session.protocol].accepted.add();
    const accepted = this.#outcomeOf(active, 'accepted', {});
    this.outcomes.put({ outcome: accepted, content, wasSent: false, neededMs: neededMsOf(active), atMs: nowMs });
    this.#wait(active, this.#leftMs(command));
    this.#deliver(queue);
    return accepted;
  }

  #fullReason(command: DeviceCommand): string | undefined {
    const { limits, clock } = this.#options;
    const { deviceCommandsMax, commandsMax, outcomesMax } = limits;
    if ((this.#queues.get(keyOf(command))?.commands.length ?? 0) >= deviceCommandsMax)
      return `expected at most ${deviceCommandsMax} commands of one device in progress, got one more`;
    if (this.size >= commandsMax) return `expected at most ${commandsMax} commands in progress, got one more`;
    if (this.outcomes.hasPlace(clock.monotonic())) return undefined;
    return `expected at most ${outcomesMax} commands whose deadline has not passed, got one more`;
  }

  /** Returns the outcome of a command that was not accepted. It is not remembered: nothing was sent. */
  #refused({ id, device }: DeviceCommand, { protocol, ...refusal }: Refusal): CommandOutcome {
    const { clock, node, counts } = this.#options;
    counts.protocols[protocol ?? 'none'][refusal.state].add();
    counts.refused(refusal.code);
    return { id, device, time: clock.now(), node, session: 0, attempt: 0, holder: '', ...refusal };
  }

  /** Sends what is next, as long as no command of the device waits for its receipt. */
  #deliver(queue: DeviceQueue): void {
    for (;;) {
      if (queue.commands.some(({ state }) => state === 'sent')) return;
      const next = queue.commands.find(({ state }) => state === 'waiting');
      if (next === undefined) return;
      const off = this.#options.offReason(queue.device);
      const stale = this.#fences.staleReason(queue.device, next.command.fence);
      if (this.#leftMsOf(next) <= 0) this.#expire(next);
      else if (off !== undefined) this.#fail(next, 'forbidden', off);
      else if (stale !== undefined) this.#fail(next, 'conflict', stale);
      else if (isOfOtherSession(next)) this.#fail(next, 'conflict', otherSessionText(next));
      else if (!this.#send(next)) return;
    }
  }

  /** Writes a command to the session of its device. Returns false if it was not written. */
  #send(active: ActiveCommand): boolean {
    const { command, queue, state } = active;
    const { session } = queue;
    const expiresInMs = this.#leftMsOf(active);
    // Without a session that takes it, it waits for one until its deadline.
    if (!session.takesCommands || !session.mayReceiveCommands(command.device)) return false;
    const former = active.session;
    active.state = 'sent';
    active.session = session;
    active.attempt++;
    if (active.attempt === 1 && active.span === noSpan)
      active.span = this.#options.tracing?.sent(command, session.protocol) ?? noSpan;
    const { id, device, name, params, qos, deadline, fence } = command;
    // The session may call back within the call.
    if (!session.deliver({ id, device, name, params, qos, deadline, expiresInMs, fence })) {
      active.state = state;
      active.session = former;
      active.attempt--;
      this.#wait(active, Math.min(fullRetryMs, expiresInMs));
      return false;
    }
    if (active.attempt > 1) this.#options.counts.resent.add();
    if (active.state !== 'sent' || this.#active.get(id) !== active) return true;
    // From now on its ID is not accepted again, whatever becomes of it.
    this.#remember(active);
    if (qos === 0) this.#received(active);
    else this.#wait(active, Math.min(receiptMs, expiresInMs));
    return true;
  }

  #resend(active: ActiveCommand): void {
    if (isOfOtherSession(active)) {
      this.#unconfirmed(active, 'conflict', otherSessionText(active));
      return;
    }
    const leftMs = this.#leftMsOf(active);
    if (active.isCanceled || this.#options.offReason(active.command.device) !== undefined) return;
    if (active.attempt < attemptsMax && leftMs > resendLeftMs) this.#send(active);
  }

  #received(active: ActiveCommand): void {
    active.state = 'delivered';
    const { counts } = this.#options;
    counts.protocols[active.session!.protocol].delivered.add();
    this.#wait(active, Math.max(0, active.expiresMs - this.#options.clock.monotonic()) + replyGraceMs);
    this.#publish(this.#outcomeOf(active, 'delivered', {}), active.content, true, neededMsOf(active));
  }

  #timedOut(active: ActiveCommand): void {
    const { state, queue } = active;
    const leftMs = this.#leftMsOf(active);
    if (state === 'waiting') {
      if (leftMs <= 0) this.#expire(active);
      else this.#wait(active, leftMs);
    } else if (state === 'delivered') {
      this.#unconfirmed(active, 'timeout', 'the device has it, and has not reported what became of it');
    } else if (leftMs <= 0 || active.attempt >= attemptsMax) {
      this.#unconfirmed(active, 'timeout', `it was sent ${active.attempt} times, and the device has not confirmed it`);
    } else {
      // Before the call, which sets another timer if the command is sent.
      this.#wait(active, leftMs);
      this.#resend(active);
    }
    this.#deliver(queue);
  }

  #sessionLost(queue: DeviceQueue, successor: string): void {
    const { route } = queue;
    const { node } = this.#options;
    const known = successor === '' ? (this.#options.holderOf(route) ?? '') : successor;
    const holder = known === node ? '' : known;
    for (const active of [...queue.commands]) {
      if (active.state !== 'waiting') this.#unconfirmed(active, 'unavailable', 'the session of the device was lost');
      else if (this.#leftMsOf(active) <= 0) this.#expire(active);
      else if (holder === '') this.#fail(active, 'unavailable', `${route} has lost its session; nothing was sent`);
      else
        this.#finish(active, 'failed', {
          code: 'conflict',
          message: `the session of ${route} is on ${holder}`,
          holder,
        });
    }
  }

  #expire(active: ActiveCommand): void {
    const message = lateText(active.command, 0);
    this.#finish(active, 'expired', { code: 'timeout', message });
  }

  #fail(active: ActiveCommand, code: ErrorCode, message: string): void {
    this.#finish(active, 'failed', { code, message });
  }

  #unconfirmed(active: ActiveCommand, code: ErrorCode, message: string): void {
    this.#finish(active, 'unconfirmed', { code, message });
  }

  #finish(active: ActiveCommand, state: CommandState, fields: OutcomeFields, by: 'device' | 'node' = 'node'): void {
    const { command, queue, timer } = active;
    const { counts, clock } = this.#options;
    // The ID of a canceled one is not accepted again: the request may still be on its way a second time.
    const wasSent = active.isCanceled || active.state !== 'waiting' || by === 'device';
    timer?.cancel();
    this.#active.delete(command.id);
    queue.commands.splice(queue.commands.indexOf(active), 1);
    const { protocol } = active.session ?? queue.session;
    if (queue.commands.length === 0) this.#removeQueue(queue, command);
    counts.protocols[protocol][state].add();
    counts.seconds[protocol].observe((clock.monotonic() - active.startedMs) / 1_000);
    const outcome = this.#outcomeOf(active, state, fields);
    if (active.span !== noSpan) this.#options.tracing?.finished(active.span, outcome);
    this.#publish(outcome, active.content, wasSent, neededMsOf(active));
  }

  /** Publishes the outcome of a command that another node has sent, before the device came to this one. */
  #repliedOther(session: CommandSession, device: string, reply: CommandReply): boolean {
    const { clock, node, publish, counts } = this.#options;
    if (!covers(session, device) || reply.state === 'unconfirmed') return false;
    const tat = this.#otherOutcomes.take(this.#otherOutcomeTats.get(session) ?? 0, clock.monotonic());
    if (tat === undefined) return false;
    this.#otherOutcomeTats.set(session, tat);
    counts.other.add();
    const { id, state } = reply;
    const fields = { session: session.number, attempt: 0, holder: '', ...fieldsOf(reply) };
    publish({ id, device, state, time: clock.now(), node, ...fields });
    return true;
  }

  #remember(active: ActiveCommand): void {
    const outcome = this.#outcomeOf(active, 'accepted', {});
    const atMs = this.#options.clock.monotonic();
    this.outcomes.put({ outcome, content: active.content, wasSent: true, neededMs: neededMsOf(active), atMs });
  }

  #publish(outcome: CommandOutcome, content: string, wasSent: boolean, neededMs: number): void {
    const { clock, publish } = this.#options;
    const changed = { ...outcome, time: clock.now() };
    this.outcomes.put({ outcome: changed, content, wasSent, neededMs, atMs: clock.monotonic() });
    publish(changed);
  }

  #outcomeOf({ command, session, attempt }: ActiveCommand, state: CommandState, fields: OutcomeFields): CommandOutcome {
    const { node, clock } = this.#options;
    const { id, device } = command;
    const sent = { session: session?.number ?? 0, attempt, message: '', holder: '' };
    return { id, device, state, time: clock.now(), node, ...sent, ...fields };
  }

  #wait(active: ActiveCommand, delayMs: number): void {
    active.timer?.cancel();
    active.timer = this.#options.clock.after(delayMs, () => this.#timedOut(active));
  }

  /**
   * Returns the time until the deadline. By the clock of this node, and at most the time that its requester has set, so
   * that a command of a requester whose clock is ahead does not wait for longer.
   */
  #leftMs({ deadline, issued }: DeviceCommand): number {
    const leftMs = deadline - this.#options.clock.now();
    return issued === 0 ? leftMs : Math.min(leftMs, deadline - issued);
  }

  /** The same by the clock that is earlier. */
  #leftMsOf({ command, expiresMs }: ActiveCommand): number {
    return Math.min(this.#leftMs(command), expiresMs - this.#options.clock.monotonic());
  }

  #queueOf(command: DeviceCommand, session: CommandSession): DeviceQueue {
    const key = keyOf(command);
    const known = this.#queues.get(key);
    if (known !== undefined) {
      known.session = session;
      return known;
    }
    const route = routeOf(command);
    const queue: DeviceQueue = { device: command.device, route, commands: [], session };
    this.#queues.set(key, queue);
    const ofRoute = this.#byRoute.get(route);
    if (ofRoute === undefined) this.#byRoute.set(route, new Set([queue]));
    else ofRoute.add(queue);
    return queue;
  }

  #removeQueue(queue: DeviceQueue, command: DeviceCommand): void {
    this.#queues.delete(keyOf(command));
    const ofRoute = this.#byRoute.get(queue.route);
    ofRoute?.delete(queue);
    if (ofRoute?.size === 0) this.#byRoute.delete(queue.route);
  }
}

/** Of its queue. No path has a space. */
function keyOf(command: DeviceCommand): string {
  return `${routeOf(command)} ${command.device}`;
}

/** Until when the outcome of a command is needed: then neither a repetition nor a correction of it is accepted. */
function neededMsOf({ expiresMs }: ActiveCommand): number {
  return expiresMs + replyGraceMs + correctionMs;
}

/** Whether the device has another session now than the one that the command is for. */
function isOfOtherSession({ only, queue }: ActiveCommand): boolean {
  return only !== undefined && only !== queue.session;
}

function otherSessionText({ command, queue }: ActiveCommand): string {
  return `session: expected ${queue.session.number}, which has replaced it, got ${command.session}`;
}

/** Whether what the session reports of commands of the device counts: as for their receipt, so that none is forged. */
function covers(session: CommandSession, device: string | undefined): boolean {
  return device !== undefined && session.mayReceiveCommands(device);
}

/** Returns what an outcome has of a reply. A device that does not name what has confirmed the command has done so. */
function fieldsOf({ id: _id, state, ...fields }: CommandReply): Omit<CommandReply, 'id' | 'state'> {
  return state === 'done' ? { confirmedBy: 'device', ...fields } : fields;
}
