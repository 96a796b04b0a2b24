import type { Bus, BusSubscription } from '@tailrace/bus/bus';
import type { Clock, Timer } from '@tailrace/platform/clock';
import { anyCommandSubject, commandSubject, outcomePattern } from '@tailrace/protocol/command-subject';
import {
  type CommandOutcome,
  type CommandRequest,
  type DeviceCommand,
  decodeCommandOutcome,
  encodeCommandRequest,
  isFinal,
} from '@tailrace/protocol/device-command';
import { isTailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';

/** How long an ingest node may take to reply. */
const requestMs = 2_000;
/** After the deadline of a command, for its last outcome: an ingest node waits for 5 s. */
const graceMsDefault = 8_000;

export interface SendOptions {
  /** How long a correction of `unconfirmed` is awaited. Default: 0. */
  readonly correctionMs?: number;
  /** How long after the deadline an outcome is awaited. Default: 8 s. */
  readonly graceMs?: number;
}

/**
 * The upper end of commands, for tests and for people: sends them over the bus to the ingest node that has the device,
 * and returns their outcomes. It has no queue and checks no rights.
 *
 * A command whose reply is lost is not sent again, because it may be on its way to the device.
 */
export class CommandClient {
  readonly #bus: Pick<Bus, 'request' | 'subscribe'>;
  readonly #clock: Clock;
  readonly #waiting = new Map<string, Outcomes>();
  #subscription: BusSubscription | undefined;

  constructor(bus: Pick<Bus, 'request' | 'subscribe'>, clock: Clock) {
    this.#bus = bus;
    this.#clock = clock;
  }

  /** Resolves when outcomes are received. */
  async start(): Promise<void> {
    this.#subscription = await this.#bus.subscribe(outcomePattern, (payload) => {
      const outcome = decodeCommandOutcome(payload);
      this.#waiting.get(outcome.id)?.add(outcome);
    });
  }

  async stop(): Promise<void> {
    await this.#subscription?.stop();
  }

  /**
   * Sends a command. Yields `accepted` and `delivered`, unless they are skipped, and one of the other outcomes; at the
   * latest some seconds after the deadline. Rejects with `unavailable` if no ingest node can be reached: then nothing
   * was sent.
   */
  async *send(
    command: DeviceCommand,
    { correctionMs = 0, graceMs = graceMsDefault }: SendOptions = {},
  ): AsyncGenerator<CommandOutcome> {
    const { id, device, deadline } = command;
    const outcomes = new Outcomes(this.#clock);
    this.#waiting.set(id, outcomes);
    try {
      // A request that nothing replies to may have been received. This one may be.
      const known = await this.#known(id, device);
      if (known === undefined) outcomes.add(await this.#sent(command));
      else outcomes.add(known);
      const waitMs = Math.max(0, deadline - this.#clock.now()) + graceMs;
      let last: CommandOutcome | undefined;
      for (;;) {
        const isCorrection = last?.state === 'unconfirmed';
        const outcome = await outcomes.next(isCorrection ? correctionMs : waitMs);
        if (outcome === undefined && isCorrection) return;
        last = outcome ?? (await this.#lastOf(command, last));
        yield last;
        if (isFinal(last.state) && (last.state !== 'unconfirmed' || correctionMs === 0)) return;
        if (outcome === undefined) return;
      }
    } finally {
      this.#waiting.delete(id);
    }
  }

  /** Returns the last outcome of a command at the node; undefined if it knows none. `node`: default: any. */
  async query(id: string, device: string, node?: string): Promise<CommandOutcome | undefined> {
    return await this.#about({ query: { id, device } }, node);
  }

  /**
   * Cancels a command at the node that has accepted it. Returns its last outcome: `failed` with `canceled` if it was
   * not sent; undefined if the node knows none.
   */
  async cancel(id: string, device: string, node?: string): Promise<CommandOutcome | undefined> {
    return await this.#about({ cancel: { id, device } }, node);
  }

  async #about(request: CommandRequest, node?: string): Promise<CommandOutcome | undefined> {
    try {
      return await this.#request(request, node);
    } catch (error) {
      if (isTailraceError(error) && error.code === 'not_found') return undefined;
      throw error;
    }
  }

  async #known(id: string, device: string): Promise<CommandOutcome | undefined> {
    const outcome = await this.query(id, device);
    return outcome !== undefined && isFinal(outcome.state) && outcome.attempt > 0 ? outcome : undefined;
  }

  async #sent(command: DeviceCommand): Promise<CommandOutcome | undefined> {
    try {
      const outcome = await this.#request({ command });
      const { code, holder } = outcome;
      return code === 'conflict' && holder !== '' ? await this.#request({ command }, holder) : outcome;
    } catch (thrown) {
      const { code } = tailraceErrorFrom(thrown);
      // It may have been received: its outcome, or none, shows that.
      if (code === 'unavailable' || code === 'timeout') return undefined;
      throw thrown;
    }
  }

  async #lastOf(command: DeviceCommand, last: CommandOutcome | undefined): Promise<CommandOutcome> {
    const { id, device } = command;
    const known = await this.query(id, device, last?.node).catch(() => undefined);
    if (known !== undefined && isFinal(known.state)) return known;
    return {
      ...{ id, device, state: 'unconfirmed', time: this.#clock.now(), node: last?.node ?? '', session: 0, attempt: 0 },
      ...{ code: 'timeout', message: 'no outcome came from the node of the device', holder: '' },
    };
  }

  async #request(request: CommandRequest, node?: string): Promise<CommandOutcome> {
    const subject = node === undefined || node === '' ? anyCommandSubject : commandSubject(node);
    const [reply] = await this.#bus.request(subject, encodeCommandRequest(request), { deadlineMs: requestMs });
    return decodeCommandOutcome(reply!);
  }
}

const order = { accepted: 0, delivered: 1, unconfirmed: 2, done: 3, failed: 3, expired: 3 } as const;

/** Outcomes of one command in their order, whichever subject they come on. */
class Outcomes {
  readonly #clock: Clock;
  readonly #waiting: CommandOutcome[] = [];
  #last = -1;
  #timer: Timer | undefined;
  #wake: ((outcome: CommandOutcome | undefined) => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Adds an outcome, if it is later than those before. */
  add(outcome: CommandOutcome | undefined): void {
    if (outcome === undefined || order[outcome.state] <= this.#last) return;
    this.#last = order[outcome.state];
    if (this.#wake === undefined) this.#waiting.push(outcome);
    else this.#resolve(outcome);
  }

  /** Resolves with undefined if none comes in time. */
  next(waitMs: number): Promise<CommandOutcome | undefined> {
    const outcome = this.#waiting.shift();
    if (outcome !== undefined) return Promise.resolve(outcome);
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#timer = this.#clock.after(waitMs, () => this.#resolve(undefined));
    });
  }

  #resolve(outcome: CommandOutcome | undefined): void {
    this.#timer?.cancel();
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.(outcome);
  }
}
