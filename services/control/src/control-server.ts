import type { Bus, BusSubscription } from '@tailrace/bus/bus';
import { noSpan } from '@tailrace/platform/tracing';
import type { CommandValue } from '@tailrace/protocol/device-command';
import { TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { type AlarmActionRequest, acceptAlarmAction } from './alarms/alarm-actions.ts';
import { deadlineMsDefault } from './commands/command.ts';
import { commandValueFrom, transitionMessage } from './commands/command-message.ts';
import type { CommandService } from './commands/command-service.ts';
import type { ControlContext } from './control-context.ts';
import type { ControlTracing } from './control-tracing.ts';
import { leaseActionFrom, leaseMessage } from './leases/lease-message.ts';
import type { LeaseService } from './leases/lease-service.ts';
import { requesterFromMessage } from './requester.ts';

const { ControlRequest, ControlReply, CommandDecisionKind } = tailrace.v1;

/** Requests to control, of which one process answers each. */
export const controlSubject = 'tailrace.v1.control';

export interface ControlServerOptions {
  readonly bus: Pick<Bus, 'serve'>;
  readonly commands: Pick<CommandService, 'submit' | 'cancel' | 'confirm'>;
  readonly leases: Pick<LeaseService, 'request'>;
  readonly context: ControlContext;
  readonly tracing: Pick<ControlTracing, 'busRequest'>;
}

/** Control on the bus: requests of people that fanout passes on, with their verified claims. */
export class ControlServer {
  readonly #options: ControlServerOptions;
  #subscription: BusSubscription | undefined;

  constructor(options: ControlServerOptions) {
    this.#options = options;
  }

  /** Called when the bus is connected for the first time. Resolves when requests are received. */
  async subscribe(): Promise<void> {
    const { bus } = this.#options;
    this.#subscription = await bus.serve(controlSubject, async (payload) => [await this.#reply(payload)]);
  }

  /** Accepts no further requests. Idempotent. */
  async stop(): Promise<void> {
    await this.#subscription?.stop();
  }

  /** Never rejects: an error is a reply, too. */
  async #reply(payload: Uint8Array): Promise<Uint8Array> {
    let reply: tailrace.v1.IControlReply;
    let span = noSpan;
    try {
      const request = decodedRequest(payload);
      span = this.#options.tracing.busRequest(request.traceparent ?? '');
      reply = await this.#answer(request, span.traceparent || (request.traceparent ?? ''));
    } catch (thrown) {
      span.fail(thrown);
      const { code, message, retryable } = tailraceErrorFrom(thrown);
      if (code === 'internal') this.#options.context.logger.error({ error: thrown }, 'a request of the bus has failed');
      reply = { error: { code, message, retryable } };
    }
    span.end();
    return ControlReply.encode(reply).finish();
  }

  async #answer(request: tailrace.v1.ControlRequest, traceparent: string): Promise<tailrace.v1.IControlReply> {
    const { commands, leases, context } = this.#options;
    const requester = requesterFromMessage(request.requester, traceparent);
    const { command, decision, lease, alarm } = request;
    if (command != null) {
      const submission = submissionFrom(command, context.clock.now());
      return { command: transitionMessage(await commands.submit(requester, submission)) };
    }
    if (decision != null) {
      const { kind, id } = decision;
      const isConfirm = kind === CommandDecisionKind.COMMAND_DECISION_KIND_CONFIRM;
      if (!isConfirm && kind !== CommandDecisionKind.COMMAND_DECISION_KIND_CANCEL)
        throw new TailraceError('invalid_message', `decision: expected cancel or confirm, got ${kind}`);
      return { command: transitionMessage(await commands[isConfirm ? 'confirm' : 'cancel'](requester, id ?? '')) };
    }
    if (lease != null) {
      const action = leaseActionFrom(lease.action);
      if (action === undefined)
        throw new TailraceError('invalid_message', `action: expected one of a lease, got ${lease.action}`);
      const { scope, forMs, token } = lease;
      const claim = { scope: scope ?? '', action, forMs: forMs ?? 0, token: token ?? 0 };
      return { lease: leaseMessage(await leases.request(requester, claim)) };
    }
    if (alarm != null) return { alarmAction: await acceptAlarmAction(context, requester, alarmActionFrom(alarm)) };
    throw new TailraceError('invalid_message', 'control request: expected a command, a decision, a lease or an alarm');
  }
}

function decodedRequest(payload: Uint8Array): tailrace.v1.ControlRequest {
  try {
    return ControlRequest.decode(payload);
  } catch (cause) {
    throw new TailraceError('invalid_message', 'control request: expected the Protobuf message, got other bytes', {
      cause,
    });
  }
}

function submissionFrom(message: tailrace.v1.ICommandSubmission, nowMs: number) {
  const { id, device, via, name, params, qos, deadline, lease, onlyIf, seen, replaces, dryRun } = message;
  const values = Object.entries(params ?? {}).map(([param, value]) => [param, commandValueFrom(value)]);
  return {
    ...{ key: id ?? '', device: device ?? '', via: via ?? '', name: name ?? '', qos: (qos ?? 0) as 0 | 1 | 2 },
    params: Object.fromEntries(values) as Record<string, CommandValue>,
    ...{ deadline: deadline || nowMs + deadlineMsDefault, lease: lease ?? 0, onlyIf: onlyIf ?? '' },
    seen: Object.fromEntries((seen ?? []).map(({ tag, position }) => [tag ?? '', position ?? 0])),
    ...{ replaces: replaces ?? false, dryRun: dryRun ?? false },
  };
}

function alarmActionFrom(message: tailrace.v1.IAlarmActionRequest): AlarmActionRequest {
  const { device, rule, alarm, number, kind, note, forMs } = message;
  return {
    ...{ device: device ?? '', rule: rule ?? '', alarm: alarm ?? '', number: number ?? 0, kind: kind ?? '' },
    ...{ note: note ?? '', forMs: forMs ?? 0 },
  };
}
