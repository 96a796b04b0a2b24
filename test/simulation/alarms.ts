import type { MemoryEventLog } from '@tailrace/eventlog/memory';
import type { AlarmEvent } from '@tailrace/protocol/control-event-json';
import { partitionOf } from '@tailrace/protocol/partition';
import { patternMatches } from '@tailrace/protocol/pattern';
import { alarmEvent, alarmOf, bytesOf } from '../../services/fanout/test/alarm-events.ts';
import { eventsTopic } from '../../services/fanout/test/fanout-options.ts';
import type { Chance } from './chance.ts';
import { partitions } from './limits.ts';
import type { Scheduler } from './scheduler.ts';
import type { Violations } from './violation.ts';

/** Share of transitions that are written twice, as by a process that did not get an answer. */
const doubled = 0.1;
/** Share of transitions that a process which has lost the partition writes, too. */
const ofZombie = 0.1;
/** Share of transitions before which another process takes over the partition. */
const takenOver = 0.03;
const retryMs = { min: 20, max: 400 };
/** The value of what no client may receive. */
const zombieValue = -1;

export interface AlarmLoadParts {
  readonly devices: readonly string[];
  /** Mean time between two transitions of all devices together, ms. */
  readonly everyMs: number;
  readonly eventLog: MemoryEventLog;
  readonly scheduler: Scheduler;
  readonly chance: Chance;
  readonly checker: AlarmChecker;
}

/**
 * The processes of alarms: they raise the alarm of each device and return it to normal, in turn. Transition n of a
 * device has the number n, and is written until the log has it.
 */
export class AlarmLoad {
  readonly #parts: AlarmLoadParts;
  /** By partition: the position of the last `AlarmOwner`, and of the one before. */
  readonly #owners = Array.from({ length: partitions }, () => ({ now: 0, before: 0 }));
  readonly #busy = new Set<number>();
  #isRunning = false;

  constructor(parts: AlarmLoadParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#isRunning = true;
    this.#next();
  }

  stop(): void {
    this.#isRunning = false;
  }

  #next(): void {
    const { scheduler, chance, devices, everyMs } = this.#parts;
    if (!this.#isRunning) return;
    scheduler.at(chance.between(0, 2 * everyMs), () => {
      const device = chance.pick(devices);
      const partition = partitionOf(device, partitions);
      // One process writes in a partition at a time, in order.
      if (!this.#busy.has(partition)) void this.#change(device, partition);
      this.#next();
    });
  }

  async #change(device: string, partition: number): Promise<void> {
    const { chance, checker } = this.#parts;
    this.#busy.add(partition);
    const owner = this.#owners[partition]!;
    if (chance.happens(takenOver)) {
      owner.before = owner.now;
      owner.now = await this.#append(keyIn(partition), { alarmOwner: { node: 'alarms' } });
    }
    const number = checker.last(device) + 1;
    if (owner.now > owner.before && chance.happens(ofZombie))
      await this.#append(device, alarmEvent(alarmOf(device, number, { value: zombieValue }), owner.before));
    await this.#append(device, alarmEvent(alarmOf(device, number, { value: number }), owner.now));
    checker.appended(device, number);
    if (chance.happens(doubled))
      await this.#append(device, alarmEvent(alarmOf(device, number, { value: zombieValue }), owner.now));
    this.#busy.delete(partition);
  }

  async #append(key: string, event: Parameters<typeof bytesOf>[0]): Promise<number> {
    const { eventLog, scheduler, chance } = this.#parts;
    for (;;) {
      try {
        const [position] = await eventLog.append(eventsTopic, [{ key, value: bytesOf(event) }]);
        return position!.seq;
      } catch {
        await scheduler.clock.sleep(chance.between(retryMs.min, retryMs.max));
      }
    }
  }
}

/** Returns a key of a partition that is no device path. */
function keyIn(partition: number): string {
  for (let i = 0; ; i++) if (partitionOf(`!${i}`, partitions) === partition) return `!${i}`;
}

/** I2, I3 and I6 for alarms: compares what subscriptions received with what was written. */
export class AlarmChecker {
  readonly #violations: Violations;
  readonly #last = new Map<string, number>();
  readonly #watches: AlarmWatch[] = [];

  constructor(violations: Violations) {
    this.#violations = violations;
  }

  /** The number of the last transition of a device; 0: none. */
  last(device: string): number {
    return this.#last.get(device) ?? 0;
  }

  appended(device: string, number: number): void {
    this.#last.set(device, number);
  }

  watch(client: string, channel: string): AlarmWatch {
    const watch = new AlarmWatch(client, channel, this.#violations);
    this.#watches.push(watch);
    return watch;
  }

  /** Checks completeness at the end of a run. */
  end(): void {
    for (const watch of this.#watches)
      for (const [device, last] of this.#last) if (patternMatches(watch.channel, device)) watch.end(device, last);
  }
}

/** What one subscription to alarms has received. */
export class AlarmWatch {
  readonly channel: string;
  readonly #client: string;
  readonly #violations: Violations;
  /** The last transition of each device since the last snapshot. */
  #numbers = new Map<string, number>();
  /** Those of a snapshot that is not complete. If its connection is lost, the client resumes from before it. */
  #snapshot: Map<string, number> | undefined;
  isClosed = false;
  #hasStarted = false;

  constructor(client: string, channel: string, violations: Violations) {
    this.#client = client;
    this.channel = channel;
    this.#violations = violations;
  }

  /** The subscription is live. Without `recovered` a snapshot follows: transitions before it may be missing. */
  live(recovered: boolean): void {
    this.#hasStarted = true;
    this.#snapshot = recovered ? undefined : new Map();
  }

  snapshotComplete(): void {
    if (this.#snapshot !== undefined) this.#numbers = this.#snapshot;
    this.#snapshot = undefined;
  }

  receive(events: readonly AlarmEvent[], isSnapshot: boolean): void {
    for (const { transition } of events) {
      if (transition === undefined) continue;
      const { device, number, value } = transition;
      const known = this.#numbers.get(device);
      const what = `${this.#client} on the alarms of ${this.channel} received ${number} of ${device}`;
      if (!patternMatches(this.channel, device)) this.#violations.add('I6 isolation', what);
      if (value !== number) this.#violations.add('I2 order', `${what}, which was written twice or by another owner`);
      if (isSnapshot) {
        this.#snapshot?.set(device, number);
        continue;
      }
      // A device that is not in the snapshot was normal: its last number was even.
      const isNext = known === undefined ? number % 2 === 1 : number === known + 1;
      if (this.#snapshot === undefined && !isNext)
        this.#violations.add(number <= (known ?? 0) ? 'I2 order' : 'I3 completeness', `${what} after ${known}`);
      this.#numbers.set(device, number);
      this.#snapshot?.set(device, number);
    }
  }

  end(device: string, last: number): void {
    if (this.isClosed || !this.#hasStarted) return;
    const known = this.#numbers.get(device);
    if (known === last || (known === undefined && last % 2 === 0)) return;
    const facts = `${this.#client} on the alarms of ${this.channel} has ${known} of ${device}, and not ${last}`;
    this.#violations.add('I3 completeness', facts);
  }
}
