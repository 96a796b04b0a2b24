import { after, before, describe } from 'node:test';
import type { EventLog } from '../src/event-log.ts';
import { appendEachPromises } from './contract-append-each.ts';
import { deliveryPromises } from './contract-delivery.ts';
import { groupPromises } from './contract-groups.ts';
import { readingPromises } from './contract-reading.ts';
import { recordPromises } from './contract-records.ts';
import { topicPromises } from './contract-topics.ts';

/** An adapter for the suite. The tests share one harness, with separate topics and groups. */
export interface EventLogHarness {
  /** Started. */
  readonly eventLog: EventLog;
  /**
   * Returns another started log on the same storage, as after a restart. An adapter that allows only one closes
   * `eventLog` first. For tests with their own harness.
   */
  reopen(): Promise<EventLog>;
  /** Deletes the records of a partition before `first`, as retention does. */
  forget(topic: string, partition: number, first: number): Promise<void>;
  /** Closes every log of the harness and removes the storage. */
  dispose(): Promise<void>;
}

export interface ContractOptions {
  /** `queueRecordsMax`: the limit of a subscription's queue. Default: that of the adapter. */
  create(options?: { readonly queueRecordsMax?: number }): Promise<EventLogHarness>;
  /** Size of a value that exceeds the limit of a record. */
  readonly tooLargeBytes: number;
  /** How long an expectation may take. A deadline, never a pause. Default: 30 s. */
  readonly deadlineMs?: number;
}

/** The context of the tests of the suite. */
export interface Contract {
  readonly options: ContractOptions;
  readonly deadlineMs: number;
  /** The shared harness. Valid only inside tests. */
  harness(): EventLogHarness;
  eventLog(): EventLog;
}

/** The contract suite of the port EventLog. Every adapter runs it, including real brokers. */
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
    describe('independent records', () => appendEachPromises(contract));
    describe('reading', () => readingPromises(contract));
    describe('delivery', () => deliveryPromises(contract));
    describe('groups', () => groupPromises(contract));
  });
}
