import { type Counter, delayBoundsSeconds, type Histogram } from '@tailrace/platform/measures';
import type { Metrics } from '@tailrace/platform/metrics';
import { type CommandState, commandStates } from '@tailrace/protocol/device-command';
import type { ErrorCode } from '@tailrace/protocol/error';
import { type SessionProtocol, sessionProtocols } from '../devices/device-metrics.ts';
import type { CommandSettings } from './command-settings.ts';

/** `none`: the device has no session on this node. */
const commandProtocols = [...sessionProtocols, 'none'] as const;
type CommandProtocol = (typeof commandProtocols)[number];

const refusalCodes = [
  'unavailable',
  'forbidden',
  'conflict',
  'timeout',
  'rate_limited',
  'invalid_message',
  'other',
] as const;

export interface CommandCounts {
  readonly protocols: Readonly<Record<CommandProtocol, Readonly<Record<CommandState, Counter>>>>;
  /** From the request to the final outcome. */
  readonly seconds: Readonly<Record<SessionProtocol, Histogram>>;
  /** Requests with an ID that was sent before. */
  readonly duplicates: Counter;
  /** Commands that were canceled before they were sent. */
  readonly canceled: Counter;
  /** Commands that were sent to their device again. */
  readonly resent: Counter;
  /** Outcomes that followed `unconfirmed`. */
  readonly corrected: Counter;
  /** Outcomes of commands that another node has sent. */
  readonly other: Counter;
  refused(code: ErrorCode): void;
}

export function createCommandCounts(metrics: Metrics): CommandCounts {
  const counter = (name: string, help: string) => metrics.counter(`tailrace_ingest_${name}`, help);
  const states = metrics.counters('tailrace_ingest_commands_total', 'Commands for devices, by state.', {
    values: { protocol: commandProtocols, state: commandStates },
  });
  const refused = metrics.counters(
    'tailrace_ingest_refused_commands_total',
    'Commands that were not accepted, by code.',
    { values: { code: refusalCodes } },
  );
  const seconds = metrics.histograms(
    'tailrace_ingest_command_duration_seconds',
    'From the request of a command to its final outcome.',
    delayBoundsSeconds,
    { values: { protocol: sessionProtocols } },
  );
  return {
    protocols: record(commandProtocols, (protocol) =>
      record(commandStates, (state) => states.with({ protocol, state })),
    ),
    seconds: record(sessionProtocols, (protocol) => seconds.with({ protocol })),
    duplicates: counter('duplicate_commands_total', 'Requests of commands that were sent before, by ID.'),
    canceled: counter('canceled_commands_total', 'Commands that their requester has canceled before they were sent.'),
    resent: counter('resent_commands_total', 'Commands that were sent again, without a receipt of the device.'),
    corrected: counter('corrected_commands_total', 'Commands whose outcome the device has reported after unconfirmed.'),
    other: counter('other_command_outcomes_total', 'Outcomes that a device has reported of commands of other nodes.'),
    refused(code) {
      const known = refusalCodes.find((each) => each === code) ?? 'other';
      refused.with({ code: known }).add();
    },
  };
}

/** What the limits are compared with. */
interface CommandUsage {
  readonly size: number;
  readonly outcomes: { readonly size: number };
  mostOfOneDevice(): number;
}

export function registerCommandLimits(metrics: Metrics, commands: CommandUsage, settings: CommandSettings): void {
  const pairs = [
    ['commands', 'Commands in progress', () => commands.size, settings.commandsMax],
    [
      'device_commands',
      'Commands in progress, of the device that has most',
      () => commands.mostOfOneDevice(),
      settings.deviceCommandsMax,
    ],
    [
      'command_outcomes',
      'Commands whose outcome is remembered',
      () => commands.outcomes.size,
      settings.commandOutcomesMax,
    ],
  ] as const;
  for (const [name, help, read, limit] of pairs) {
    metrics.gauge(`tailrace_ingest_${name}`, `${help}.`, read);
    metrics.gauge(`tailrace_ingest_limit_${name}`, `${help}: the limit.`, () => limit);
  }
}

function record<Key extends string, Value>(keys: readonly Key[], value: (key: Key) => Value): Record<Key, Value> {
  return Object.fromEntries(keys.map((key) => [key, value(key)])) as Record<Key, Value>;
}
