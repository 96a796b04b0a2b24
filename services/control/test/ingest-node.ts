import type { Bus } from '@tailrace/bus/bus';
import { commandSubject, outcomeSubject } from '@tailrace/protocol/command-subject';
import {
  type CommandOutcome,
  type CommandRequest,
  type DeviceCommand,
  decodeCommandRequest,
  encodeCommandOutcome,
} from '@tailrace/protocol/device-command';
import { TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';

const { IngestReply, IngestRequest, SessionClaim, SessionState } = tailrace.v1;

/**
 * The lower end of commands as docs/PROTOCOL.md describes it, so that a test decides what a node does: replies, loses
 * its memory, reports late. It counts how often each ID was executed.
 */
export class IngestNode {
  readonly name: string;
  readonly #bus: Bus;
  /** The number of the session of each device. */
  readonly #devices = new Map<string, number>();
  readonly #outcomes = new Map<string, CommandOutcome>();
  /** Commands that were sent to their devices, in order. */
  readonly sent: DeviceCommand[] = [];
  /** Outcomes that follow `accepted`. Default: delivered, then done. */
  onCommand: (command: DeviceCommand) => readonly Partial<CommandOutcome>[] = () => [
    { state: 'delivered' },
    { state: 'done', confirmedBy: 'device' },
  ];
  /** Called before the reply; may reject, after which the requester does not know what happened. */
  beforeReply: (request: CommandRequest) => void | Promise<void> = () => {};

  /** Called when a request arrives, before anything is done: a test delays it so. */
  beforeRequest: (request: CommandRequest) => void | Promise<void> = () => {};

  /** Called before it replies whether it has a device. */
  beforeFind: (device: string) => void | Promise<void> = () => {};

  constructor(name: string, bus: Bus) {
    this.name = name;
    this.#bus = bus;
  }

  async start(): Promise<void> {
    await this.#bus.serve('tailrace.v1.ingest', async (payload) => {
      const device = IngestRequest.decode(payload).find?.device ?? '';
      await this.beforeFind(device);
      const number = this.#devices.get(device);
      const found = number === undefined ? {} : { node: this.name, number, open: true };
      return [IngestReply.encode({ find: found }).finish()];
    });
    await this.#bus.serve(commandSubject(this.name), async (payload) => {
      const request = decodeCommandRequest(payload);
      await this.beforeRequest(request);
      const reply = this.#reply(request);
      await this.beforeReply(request);
      return [encodeCommandOutcome(reply)];
    });
  }

  connect(device: string, number = 1): void {
    this.#devices.set(device, number);
    const state = SessionState.SESSION_STATE_OPEN;
    const claim = { device, number, node: this.name, boot: 'b', state, fresh: true };
    this.#bus.publish(`tailrace.v1.session.${device}`, SessionClaim.encode(claim).finish());
  }

  disconnect(device: string): void {
    this.#devices.delete(device);
  }

  /** As a restart does: it knows no command that it has sent. */
  forget(): void {
    this.#outcomes.clear();
  }

  /** Publishes an outcome of a command, as a report of its device. */
  report(command: Pick<DeviceCommand, 'id' | 'device'>, fields: Partial<CommandOutcome>): void {
    const outcome = { ...this.#outcomeOf(command), ...fields };
    this.#outcomes.set(command.id, outcome);
    this.#bus.publish(outcomeSubject(command.device), encodeCommandOutcome(outcome));
  }

  #reply(request: CommandRequest): CommandOutcome {
    if (!('command' in request)) {
      const { id } = 'query' in request ? request.query : request.cancel;
      const known = this.#outcomes.get(id);
      if (known !== undefined) return known;
      throw new TailraceError('not_found', `no command ${id} is known on this node`);
    }
    const { command } = request;
    const { id, device } = command;
    const known = this.#outcomes.get(id);
    if (known !== undefined) return known;
    const outcome = this.#outcomeOf(command);
    const unsent = { ...outcome, state: 'failed', session: 0, attempt: 0 } as const;
    const number = this.#devices.get(command.via || device);
    if (number === undefined) return { ...unsent, code: 'unavailable', message: 'no session' };
    if (command.foundSession && command.foundSession !== number)
      return { ...unsent, code: 'conflict', message: 'another session', holder: this.name };
    this.sent.push(command);
    this.#outcomes.set(id, outcome);
    queueMicrotask(() => {
      for (const fields of this.onCommand(command)) this.report(command, fields);
    });
    return outcome;
  }

  #outcomeOf({ id, device }: Pick<DeviceCommand, 'id' | 'device'>): CommandOutcome {
    const { name: node } = this;
    return { id, device, state: 'accepted', time: Date.now(), node, session: 1, attempt: 1, message: '', holder: '' };
  }
}
