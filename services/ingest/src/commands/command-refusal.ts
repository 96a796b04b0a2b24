import { type CommandOutcome, commandLimits, type DeviceCommand } from '@tailrace/protocol/device-command';
import type { ErrorCode } from '@tailrace/protocol/error';
import type { CommandSession } from '../devices/device-command.ts';

/** What a refusal depends on beside the command. */
export interface RefusalPorts {
  readonly node: string;
  /** Returns the session of this node of the device. */
  sessionOf(device: string): CommandSession | undefined;
  /** Returns the node that has a session of the device; undefined if none is known. */
  holderOf(device: string): string | undefined;
  /** Returns why commands for the device are refused; undefined if they are not. */
  offReason(device: string): string | undefined;
}

/** The states of a command that are asked last, as they cost more. */
export interface RefusalChecks {
  /** Until its deadline, ms. */
  readonly leftMs: number;
  /** Returns why its fence is too low. */
  staleReason(): string | undefined;
  /** Returns which limit is reached. */
  fullReason(): string | undefined;
}

/** Why a command is not accepted. Nothing was sent. */
export interface Refusal extends Pick<CommandOutcome, 'message'>, Partial<Pick<CommandOutcome, 'holder'>> {
  readonly state: 'failed' | 'expired';
  readonly code: ErrorCode;
  /** Of the session that does not get it; undefined: there is none. */
  readonly protocol?: CommandSession['protocol'] | undefined;
}

/** Returns why a command is refused; undefined if it is accepted. */
export function refusalOf(command: DeviceCommand, ports: RefusalPorts, checks: RefusalChecks): Refusal | undefined {
  const { device } = command;
  const { leftMs } = checks;
  const off = ports.offReason(device);
  if (off !== undefined) return failed('forbidden', off);
  if (leftMs <= 0) return { state: 'expired', code: 'timeout', message: lateText(command, -leftMs) };
  const { lifetimeMsMax } = commandLimits;
  if (leftMs > lifetimeMsMax)
    return failed('invalid_message', `deadline: expected at most ${lifetimeMsMax} ms from now, got ${leftMs}`);
  const route = routeOf(command);
  const session = ports.sessionOf(route);
  if (session === undefined) return withoutSession(route, command.via, ports);
  const refusal = sessionRefusal(command, session, ports.node) ?? orReason('conflict', checks.staleReason());
  const last = refusal ?? orReason('rate_limited', checks.fullReason());
  return last && { ...last, protocol: session.protocol };
}

function withoutSession(route: string, via: DeviceCommand['via'], { node, holderOf }: RefusalPorts): Refusal {
  const holder = holderOf(route);
  if (holder === undefined || holder === node) {
    const gateway = (via ?? '') === '' ? ', or is behind a gateway, which the command names as via' : '';
    return failed('unavailable', `${route} has no session: it is away, or sends by HTTP${gateway}`);
  }
  return { ...failed('conflict', `the session of ${route} is on ${holder}`), holder };
}

function sessionRefusal(command: DeviceCommand, session: CommandSession, node: string): Refusal | undefined {
  const route = routeOf(command);
  if (!session.mayReceiveCommands(command.device)) {
    const message = `the credential of ${route} does not name ${command.device}, so that it receives no commands for it`;
    return failed('forbidden', message);
  }
  if (!session.takesCommands) return failed('unavailable', `the session of ${route} takes no commands`);
  const { foundSession = 0 } = command;
  if (foundSession !== 0 && foundSession !== session.number) {
    // Between both sessions another node, or this one before a restart, may have sent a command with a higher fence.
    const message = `foundSession: expected ${session.number}, got ${foundSession}: ${route} has connected again`;
    return { ...failed('conflict', message), holder: node };
  }
  if (command.session === 0 || command.session === session.number) return undefined;
  return failed('conflict', `session: expected ${session.number}, got ${command.session}`);
}

function orReason(code: ErrorCode, reason: string | undefined): Refusal | undefined {
  return reason === undefined ? undefined : failed(code, reason);
}

function failed(code: ErrorCode, message: string): Refusal {
  return { state: 'failed', code, message };
}

/** Returns the device whose session receives the command. */
export function routeOf({ device, via }: DeviceCommand): string {
  return via === '' ? device : via;
}

export function lateText({ deadline }: DeviceCommand, lateMs: number): string {
  const late = lateMs > 0 ? `, ${Math.ceil(lateMs)} ms ago` : '';
  return `its deadline ${deadline} has passed${late}: it was not sent`;
}
