import type { Bus, BusSubscription } from '@tailrace/bus/bus';
import type { Logger } from '@tailrace/platform/logger';
import { anyCommandSubject, commandSubject, outcomeSubject } from '@tailrace/protocol/command-subject';
import {
  type CommandOutcome,
  type CommandRequest,
  decodeCommandRequest,
  encodeCommandOutcome,
} from '@tailrace/protocol/device-command';
import type { CommandTracing } from './command-tracing.ts';

export interface CommandServerOptions {
  readonly bus: Pick<Bus, 'serve' | 'publish'>;
  readonly node: string;
  readonly commands: { request(request: CommandRequest): CommandOutcome };
  readonly tracing: Pick<CommandTracing, 'request'>;
  readonly logger: Logger;
}

/** The upper side of commands: replies to requests on the bus, and publishes outcomes. */
export class CommandServer {
  readonly #options: CommandServerOptions;
  readonly #subscriptions: BusSubscription[] = [];
  #isStopped = false;

  constructor(options: CommandServerOptions) {
    this.#options = options;
  }

  /** Serves requests from now on, or from when the bus is connected. */
  start(): void {
    for (const subject of [commandSubject(this.#options.node), anyCommandSubject]) void this.#serve(subject);
  }

  /** Publishes an outcome, at most once: a requester that must have it sends a query. */
  publish(outcome: CommandOutcome): void {
    if (this.#isStopped) return;
    this.#options.bus.publish(outcomeSubject(outcome.device), encodeCommandOutcome(outcome));
  }

  /** Accepts no further requests. Idempotent. */
  stop(): void {
    this.#isStopped = true;
    for (const subscription of this.#subscriptions.splice(0)) void subscription.stop();
  }

  /** Never rejects. */
  async #serve(subject: string): Promise<void> {
    const { bus, commands, tracing, logger } = this.#options;
    try {
      const subscription = await bus.serve(subject, (payload) => [
        encodeCommandOutcome(tracing.request(decodeCommandRequest(payload), (request) => commands.request(request))),
      ]);
      if (this.#isStopped) await subscription.stop();
      else this.#subscriptions.push(subscription);
    } catch (error) {
      if (!this.#isStopped) logger.error({ error, subject }, 'commands cannot be received');
    }
  }
}
