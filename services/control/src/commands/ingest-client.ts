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

/** Where a command is requested. */
export interface FoundNode {
  readonly node: string;
  /** Number of the session of the device, or of the gateway in front of it; 0: not known. */
  readonly session: number;
}

/** Requests of control to ingest nodes. */
export class IngestClient {
  readonly #bus: Pick<Bus, 'request'>;

  constructor(bus: Pick<Bus, 'request'>) {
    this.#bus = bus;
  }

  /** Resolves with the session of a device; undefined if it has none. Rejects as the bus does. */
  async find(device: string): Promise<FoundNode | undefined> {
    const payload = IngestRequest.encode({ find: { device } }).finish();
    const [reply] = await this.#bus.request(anyIngestSubject, payload, { deadlineMs: requestMs });
    const { node, open, number = 0 } = IngestReply.decode(reply!).find ?? {};
    return node && open ? { node, session: number ?? 0 } : undefined;
  }

  /**
   * Requests a command of a node. Rejects as the bus does; then the node may have received it. One with a fence is for
   * the session by which the node was found: in another one, the node may not know the fences of later leases.
   */
  async command(command: Command, { node, session }: FoundNode, issued: number): Promise<CommandOutcome> {
    const { id, device, via, name, params, qos, deadline, fence, sender, traceparent } = command;
    const message = { id, device, via, name, params, qos, deadline, issued, fence, session: 0, subject: sender };
    const foundSession = fence === 0 ? 0 : session;
    return await this.#request({ command: { ...message, traceparent, foundSession } }, node);
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
