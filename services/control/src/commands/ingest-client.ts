import type { Bus } from '@tailrace/bus/bus';
import { commandSubject } from '@tailrace/protocol/command-subject';
import {
  type CommandOutcome,
  type CommandRequest,
  decodeCommandOutcome,
  encodeCommandRequest,
} from '@tailrace/protocol/device-command';
import { tailrace } from '@tailrace/protocol/generated';
import type { Command } from './command.ts';

const { IngestReply, IngestRequest } = tailrace.v1;

/** Where any ingest node replies on which node the session of a device is (docs/PROTOCOL.md, "NATS"). */
const anyIngestSubject = 'tailrace.v1.ingest';
/** How long an ingest node may take to reply. */
const requestMs = 2_000;

/** Requests of control to ingest nodes. */
export class IngestClient {
  readonly #bus: Pick<Bus, 'request'>;

  constructor(bus: Pick<Bus, 'request'>) {
    this.#bus = bus;
  }

  /** Resolves with the node that has the session of a device; undefined if none has. Rejects as the bus does. */
  async find(device: string): Promise<string | undefined> {
    const payload = IngestRequest.encode({ find: { device } }).finish();
    const [reply] = await this.#bus.request(anyIngestSubject, payload, { deadlineMs: requestMs });
    const { node, open } = IngestReply.decode(reply!).find ?? {};
    return node && open ? node : undefined;
  }

  /** Requests a command of a node. Rejects as the bus does; then the node may have received it. */
  async command(command: Command, node: string, issued: number): Promise<CommandOutcome> {
    const { id, device, via, name, params, qos, deadline, fence, sender, traceparent } = command;
    const message = { id, device, via, name, params, qos, deadline, issued, fence, session: 0, subject: sender };
    return await this.#request({ command: { ...message, traceparent } }, node);
  }

  /** Resolves with the last outcome of a command on a node. Rejects with `not_found` if it knows none. */
  async query({ id, device }: Command, node: string): Promise<CommandOutcome> {
    return await this.#request({ query: { id, device } }, node);
  }

  /** Cancels a command on a node. Resolves with its last outcome. Rejects with `not_found` if the node knows none. */
  async cancel({ id, device }: Command, node: string): Promise<CommandOutcome> {
    return await this.#request({ cancel: { id, device } }, node);
  }

  async #request(request: CommandRequest, node: string): Promise<CommandOutcome> {
    const payload = encodeCommandRequest(request);
    const [reply] = await this.#bus.request(commandSubject(node), payload, { deadlineMs: requestMs });
    return decodeCommandOutcome(reply!);
  }
}
