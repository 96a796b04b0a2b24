import { after, before, describe } from 'node:test';
import type { EventLog } from '../src/event-log.ts';
import { deliveryPromises } from './contract-delivery.ts';
import { groupPromises } from './contract-groups.ts';
import { readingPromises } from './contract-reading.ts';
import { recordPromises } from './contract-records.ts';
import { topicPromises } from './contract-topics.ts';

/** One adapter set up for the suite. The tests of a suite share one harness and use topics and groups of their own. */
export interface EventLogHarness {
  /** Started. */
  readonly eventLog: EventLog;
  /**
   * Another started log on the same storage, as after a restart: an adapter that allows only one closes `log` first.
   * Used only by tests that made the harness for themselves.
   */
  reopen(): Promise<EventLog>;
  /** Makes the log forget the records of a partition before `first`, as retention does. */
  forget(topic: string, partition: number, first: number): Promise<void>;
  /** Closes every log that came from here and removes the storage. */
  dispose(): Promise<void>;
}

export interface ContractOptions {
  /** `queueRecordsMax`: the bound of a subscription's queue; where it is missing, the adapter's own. */
  create(options?: { readonly queueRecordsMax?: number }): Promise<EventLogHarness>;
  /** Size of a value that is certainly over the limit of a record. */
  readonly tooLargeBytes: number;
  /** How long any one expectation may take to come true. A deadline, never a pause. Default 30 s. */
  readonly deadlineMs?: number;
}

/** What the tests of the suite are given. */
export interface Contract {
  readonly options: ContractOptions;
  readonly deadlineMs: number;
  /** The shared harness. Valid only inside tests. */
  harness(): EventLogHarness;
  eventLog(): EventLog;
}

/** What every adapter of the port EventLog keeps. Each adapter runs it, real brokers included. */
export function eventLogContract(name: string, options: ContractOptions): void {
  describe(`event log: ${name}`, () => {
    let shared: EventLogHarness | undefined;
    const contract: Contract = {
      options,
      deadlineMs: options.deadlineMs ?? 30_000,
      harness() {
        if (shared === undefined) throw new Error('the harness exists only inside tests');
        return shared;
      },
      eventLog: () => contract.harness().eventLog,
    };
    before(async () => {
      shared = await options.create();
    });
    after(() => shared?.dispose());

    describe('topics', () => topicPromises(contract));
    describe('records', () => recordPromises(contract));
    describe('reading', () => readingPromises(contract));
    describe('delivery', () => deliveryPromises(contract));
    describe('groups', () => groupPromises(contract));
  });
}
