import type { Subscribe } from '@tailrace/protocol/client-message-json';
import {
  type AlarmTransition,
  type CommandTransition,
  isFinal,
  type LeaseTransition,
} from '@tailrace/protocol/control-event-json';
import type { AlarmReferenceMessage, ControlMessage } from '@tailrace/protocol/control-message-json';
import type { TailraceError } from '@tailrace/protocol/error';
import { patternCovers, patternMatches } from '@tailrace/protocol/pattern';
import { createPositions, positionsFromToken, tokenFromPositions } from '@tailrace/protocol/position';
import type { ServerMessage } from '@tailrace/protocol/server-message-json';

const epoch = 'test-events';
/** Most events that are kept for clients that resume. */
const eventsMax = 10_000;

/** An event in the only partition of the topic of events: exactly one of the transitions. */
export interface TestEvent {
  readonly seq: number;
  readonly alarm?: AlarmTransition;
  readonly command?: CommandTransition;
  readonly lease?: LeaseTransition;
}

/** States after an action on an alarm. */
const statesAfter: Readonly<Record<string, readonly [state: string, cause: string]>> = {
  acknowledge: ['acknowledged', 'acknowledged'],
  shelve: ['shelved', 'shelved'],
  unshelve: ['acknowledged', 'unshelved'],
  reset: ['normal', 'reset'],
  removeFromService: ['out_of_service', 'removed_from_service'],
  returnToService: ['normal', 'returned_to_service'],
};

/** Alarms, commands and leases of a test server. */
export class TestEvents {
  /** Answers each message for control. */
  refusal: TailraceError | undefined;
  /** Whether commands stay accepted. */
  isHolding = false;
  /** Whether states of commands do not reach their senders. */
  isLosing = false;
  readonly #events: TestEvent[] = [];
  readonly #alarms = new Map<string, AlarmTransition>();
  readonly #commands = new Map<string, CommandTransition>();
  readonly #leases = new Map<string, LeaseTransition>();
  readonly #publish: (event: TestEvent) => void;
  #next = 0;
  #first = 0;

  constructor(publish: (event: TestEvent) => void) {
    this.#publish = publish;
  }

  /** Appends the next transition of an alarm. */
  alarm(
    device: string,
    rule: string,
    fields: Partial<AlarmTransition> & Pick<AlarmTransition, 'time'>,
  ): AlarmTransition {
    const before = this.#alarms.get(`${device} ${rule}`);
    const number = (before?.number ?? 0) + 1;
    const isNew = before === undefined || before.state === 'normal';
    const activation = isNew ? `alarm-${device}-${rule}-${number}` : before.alarm;
    const alarm: AlarmTransition = {
      ...{ id: `${device}-${rule}-${number}`, alarm: activation, rule, device, number },
      ...{ state: 'unacknowledged', previous: before?.state ?? 'normal', cause: 'raised', priority: 3 },
      ...fields,
    };
    this.append({ alarm });
    return alarm;
  }

  append(event: Omit<TestEvent, 'seq'>): void {
    const appended = { ...event, seq: this.#next++ };
    const { alarm, command, lease } = appended;
    if (alarm) this.#alarms.set(`${alarm.device} ${alarm.rule}`, alarm);
    if (command) this.#commands.set(command.id, command);
    if (lease) this.#leases.set(lease.scope, lease);
    this.#events.push(appended);
    if (this.#events.length > eventsMax) this.#first = this.#events.shift()!.seq + 1;
    this.#publish(appended);
  }

  /** Deletes all events. The current alarms remain. */
  forget(): void {
    this.#events.length = 0;
    this.#first = this.#next;
  }

  /** Returns the messages that start a subscription. */
  start(view: number, request: Subscribe): ServerMessage[] {
    const { id, channel, after, snapshot = true } = request;
    const from = after === undefined ? undefined : positionsFromToken(after);
    const last = from?.epoch === epoch ? (from.last(0) ?? -1) : undefined;
    const isWhole = last !== undefined && last + 1 >= this.#first;
    const current = isWhole || !snapshot ? [] : this.#current().filter((event) => isSelected(request, event));
    const missing =
      from === undefined || isWhole ? {} : { missing: [{ partition: 0, from: 0, to: this.#next, reason: 'too_far' }] };
    const position = tokenFromPositions(createPositions(epoch, [[0, this.#next - 1]]));
    const head = { id, view, channel, epoch, position, snapshot: current.length };
    return [
      { subscribed: { ...head, ...(from === undefined ? {} : { recovered: isWhole }), ...missing } },
      ...this.messages(view, request, current, true),
      ...(isWhole
        ? this.messages(
            view,
            request,
            this.#events.filter(({ seq }) => seq > last),
          )
        : []),
    ];
  }

  /** Returns the messages with the events that a subscription selects, one each. */
  messages(view: number, request: Subscribe, events: readonly TestEvent[], isSnapshot = false): ServerMessage[] {
    const selected = events.filter((event) => isSelected(request, event));
    return selected.map(({ seq, alarm, command, lease }, i) => {
      const position = { partition: 0, seq };
      const flags = isSnapshot ? { snapshot: true, snapshotComplete: i + 1 === selected.length } : {};
      if (alarm) return { alarm: { view, events: [{ ...position, transition: alarm }], ...flags } };
      if (command) return { command: { view, events: [{ ...position, transition: command }], ...flags } };
      return { lease: { view, events: [{ ...position, transition: lease! }], ...flags } };
    });
  }

  /** Returns the replies of control to a message. */
  control(message: ControlMessage, time: number): ServerMessage[] {
    const [kind, fields] = Object.entries(message)[0]! as [string, { readonly id: string }];
    const request = fields.id;
    if (this.refusal !== undefined) {
      const { code, message: text, retryable } = this.refusal;
      return [{ error: { code, message: text, retryable, request } }];
    }
    if ('command' in message) return this.#command(message.command, time);
    if ('lease' in message) {
      const { scope, action } = message.lease;
      const token = (this.#leases.get(scope)?.token ?? 0) + 1;
      const lease = { scope, token, time, action, ...(action === 'release' ? {} : { holder: 'test' }) };
      this.append({ lease });
      return [{ lease: { view: 0, request, events: [{ partition: 0, transition: lease }] } }];
    }
    if ('cancel' in message || 'confirm' in message) {
      const id = 'cancel' in message ? message.cancel.command : message.confirm.command;
      const known = this.#commands.get(id);
      if (known === undefined)
        return [{ error: { code: 'not_found', message: `no command ${id}`, retryable: false, request } }];
      const state = 'cancel' in message ? 'canceled' : 'queued';
      const command = isFinal(known) ? known : { ...known, number: known.number + 1, state, time };
      if (command !== known) this.append({ command });
      return [{ command: { view: 0, request, events: [{ partition: 0, transition: command }] } }];
    }
    return this.#act(kind, fields as AlarmReferenceMessage, time);
  }

  #command(message: Extract<ControlMessage, { command: unknown }>['command'], time: number): ServerMessage[] {
    const { id: key, device, name, dryRun } = message;
    const known = [...this.#commands.values()].find((command) => command.key === key);
    const first = known ?? { id: `cmd-${key}`, key, device, name, number: 1, state: 'accepted', time };
    const reply: ServerMessage = { command: { view: 0, request: key, events: [{ partition: 0, transition: first }] } };
    if (known === undefined && dryRun !== true) {
      this.append({ command: first });
      queueMicrotask(() => {
        if (!this.isHolding && this.#commands.get(first.id) === first)
          this.append({ command: { ...first, number: 2, state: 'done', time } });
      });
    }
    return [reply];
  }

  #act(kind: string, { id: request, device, rule, number }: AlarmReferenceMessage, time: number): ServerMessage[] {
    const known = this.#alarms.get(`${device} ${rule}`);
    if (known === undefined || (number !== undefined && number !== known.number)) {
      const message = `number: expected ${known?.number ?? 'an alarm'}, got ${number}`;
      return [{ error: { code: 'conflict', message, retryable: false, request } }];
    }
    const action = `action-${request}`;
    const [state, cause] = statesAfter[kind]!;
    queueMicrotask(() => this.alarm(device, rule, { time, state, cause, action, by: 'test' }));
    return [{ accepted: { request, action } }];
  }

  #current(): TestEvent[] {
    // Positions of a snapshot are not needed.
    const seq = Math.max(0, this.#next - 1);
    return [
      ...[...this.#alarms.values()].filter(({ state }) => state !== 'normal').map((alarm) => ({ seq, alarm })),
      ...[...this.#commands.values()].filter((command) => !isFinal(command)).map((command) => ({ seq, command })),
      ...[...this.#leases.values()].filter(({ holder }) => holder !== undefined).map((lease) => ({ seq, lease })),
    ];
  }
}

function isSelected({ channel, alarms, commands }: Subscribe, { alarm, command, lease }: TestEvent): boolean {
  if (alarm) return alarms === true && patternMatches(channel, alarm.device);
  if (commands !== true) return false;
  if (command) return patternMatches(channel, command.device);
  return patternCovers(channel, lease!.scope) || patternCovers(lease!.scope, channel);
}
