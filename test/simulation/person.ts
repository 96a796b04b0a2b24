import type { Bus } from '@tailrace/bus/bus';
import { createControl, type Control as StreamControl } from '@tailrace/client/control';
import { controlSubject } from '@tailrace/control/control-server';
import { type ErrorCode, tailraceErrorFrom } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import type { Chance } from './chance.ts';
import type { SimulatedClient } from './client.ts';
import type { CommandChecker } from './command-checker.ts';
import type { Scheduler } from './scheduler.ts';

const { ControlReply, ControlRequest, CommandDecisionKind, LeaseAction } = tailrace.v1;

/** Of a request to control, ms. */
const requestMs = 3_000;
/** A request without an answer is sent again, with the same key. */
const attemptsMax = 4;
const retryMs = { min: 50, max: 1_500 };
/** After this time a request without an answer has no effect any more, ms. */
const lateMsMax = 15_000;

/** What people request, drawn by the load. */
export interface CommandPlan {
  readonly key: string;
  readonly device: string;
  readonly qos: 0 | 1;
  /** Epoch ms. */
  readonly deadline: number;
  readonly replaces: boolean;
  /** Over the stream, or over the bus. */
  readonly usesStream: boolean;
}

export type LeaseActionName = 'acquire' | 'renew' | 'release' | 'take_over';

const leaseActions = {
  acquire: LeaseAction.LEASE_ACTION_ACQUIRE,
  renew: LeaseAction.LEASE_ACTION_RENEW,
  release: LeaseAction.LEASE_ACTION_RELEASE,
  take_over: LeaseAction.LEASE_ACTION_TAKE_OVER,
} as const;

const auditedCodes: ReadonlySet<string> = new Set<ErrorCode>(['forbidden', 'conflict']);

export interface PersonParts {
  readonly subject: string;
  readonly roles: readonly string[];
  readonly command: readonly string[];
  readonly subscribe: readonly string[];
  /** Of a server that passes requests on to control. */
  readonly bus: Bus;
  readonly client: SimulatedClient;
  readonly checker: CommandChecker;
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  readonly note: (what: string) => void;
}

/** Somebody who sends commands and holds leases: over a stream with the client library, and over the bus. */
export class Person {
  readonly subject: string;
  readonly client: SimulatedClient;
  /** The last lease of each scope, with its token. */
  readonly leases = new Map<string, number>();
  /** What was accepted, for repetitions and cancellations. */
  readonly sent: { readonly plan: CommandPlan; readonly id: string }[] = [];
  readonly #parts: PersonParts;
  readonly #control: StreamControl;

  constructor(parts: PersonParts) {
    this.#parts = parts;
    this.subject = parts.subject;
    this.client = parts.client;
    this.#control = createControl(this.client.stream, this.client.clock);
  }

  async command(plan: CommandPlan): Promise<void> {
    const { checker, note } = this.#parts;
    const { key, device, qos, deadline } = plan;
    checker.submitted({ key, device, qos, deadline, sender: this.subject });
    note(`${this.subject} requests ${key} for ${device}${plan.usesStream ? ' over the stream' : ''}`);
    if (plan.usesStream) await this.#overStream(plan);
    else await this.#overBus(plan);
  }

  /** Sends a command again, with the same key and content. */
  async repeat(plan: CommandPlan): Promise<void> {
    this.#parts.note(`${this.subject} requests ${plan.key} again`);
    await this.#overBus(plan);
  }

  async cancel(id: string): Promise<void> {
    this.#parts.note(`${this.subject} cancels ${id}`);
    const decision = { id, kind: CommandDecisionKind.COMMAND_DECISION_KIND_CANCEL };
    await this.#request({ decision }, 1);
  }

  async lease(scope: string, action: LeaseActionName, forMs: number): Promise<void> {
    const { checker, note, scheduler } = this.#parts;
    note(`${this.subject} requests ${action} of ${scope}`);
    const token = this.leases.get(scope) ?? 0;
    const isContest = action === 'release' || action === 'take_over';
    checker.leaseRequested(this.subject, scope, forMs);
    const settled = isContest ? checker.leaseContested(scope) : () => {};
    const reply = await this.#request({ lease: { scope, action: leaseActions[action], forMs, token } }, 1);
    // Without an answer, a process that is suspended may still do it.
    if (reply === undefined) scheduler.at(lateMsMax, settled);
    else settled();
    if (reply?.error?.code != null && auditedCodes.has(reply.error.code)) checker.leaseRefused(this.subject, scope);
    if (reply?.lease == null) return;
    const { holder, until, token: granted } = reply.lease;
    if (holder !== this.subject) return;
    this.leases.set(scope, granted ?? 0);
    note(`${this.subject} has the lease ${granted} of ${scope}`);
    checker.leaseAcknowledged({ scope, token: granted ?? 0, holder, until: until ?? 0 });
  }

  async #overStream(plan: CommandPlan): Promise<void> {
    const { checker } = this.#parts;
    const { key, device, qos, deadline } = plan;
    const sent = this.#control.command({ id: key, device, name: 'set', params: { key }, qos, deadline });
    let isAccepted = false;
    sent.onState(({ id }) => {
      if (!isAccepted) this.#accepted(plan, id);
      isAccepted = true;
    });
    try {
      checker.result(key, (await sent.result).state);
    } catch (thrown) {
      const { code } = tailraceErrorFrom(thrown);
      if (!isAccepted && auditedCodes.has(code)) checker.refused(key);
    }
  }

  async #overBus(plan: CommandPlan): Promise<void> {
    const { key, device, qos, deadline, replaces } = plan;
    const command = { id: key, device, name: 'set', params: { key: { text: key } }, qos, deadline, replaces };
    const reply = await this.#request({ command }, attemptsMax);
    if (reply?.command != null) this.#accepted(plan, reply.command.id ?? '');
    else if (auditedCodes.has(reply?.error?.code ?? '')) this.#parts.checker.refused(key);
  }

  #accepted(plan: CommandPlan, id: string): void {
    this.#parts.note(`${plan.key} is ${id}`);
    this.#parts.checker.accepted(plan.key, id);
    this.sent.push({ plan, id });
  }

  /** Resolves with undefined if no attempt has an answer. */
  async #request(
    request: tailrace.v1.ControlRequest.$Properties,
    attempts: number,
  ): Promise<tailrace.v1.ControlReply | undefined> {
    const { subject, roles, command, subscribe, bus, scheduler, chance } = this.#parts;
    const requester = { subject, roles: [...roles], command: [...command], subscribe: [...subscribe], address: 'bus' };
    const payload = ControlRequest.encode({ requester, ...request }).finish();
    for (let attempt = 0; attempt < attempts; attempt++) {
      if (attempt > 0) await scheduler.clock.sleep(chance.between(retryMs.min, retryMs.max));
      try {
        const [bytes] = await bus.request(controlSubject, payload, { deadlineMs: requestMs });
        const reply = ControlReply.decode(bytes!);
        // An error that passes: the same request may succeed.
        if (reply.error?.retryable !== true || auditedCodes.has(reply.error.code ?? '')) return reply;
      } catch {
        // No answer.
      }
    }
    return undefined;
  }
}
