import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { silentLogger } from '@tailrace/platform/logger';
import { eventually } from '@tailrace/testkit/eventually';
import { Checker } from '../chaos/checker.ts';
import { ActLedger } from './act-ledger.ts';
import type { Interruption } from './alarm-replay.ts';
import { ControlApi } from './control-api.ts';
import { ControlCheck, type RunFacts } from './control-check.ts';
import type { ControlFault, Explains } from './control-faults.ts';
import { ExecutionLedger } from './execution-ledger.ts';
import { Machines } from './machines.ts';
import { People, type Person } from './people.ts';
import { Plant } from './plant.ts';
import { EventWatcher, ReportWatcher } from './watchers.ts';

export interface ControlChaosSettings {
  readonly faults: readonly ControlFault[];
  readonly machines: number;
  /** Before each fault. */
  readonly calmMs: number;
  /** For logs and ledgers. */
  readonly data: string;
  readonly portBase: number;
}

const againMs = 180_000;
const drainMs = 180_000;
const scope = 'plant1.leased.>';

/** One run: a plant, devices, screens and people, faults, and the checks after everything has drained. */
export class ControlChaosRun {
  readonly #settings: ControlChaosSettings;
  readonly #print: (text: string) => void;
  readonly #plant: Plant;
  readonly #ledger = new ActLedger();
  readonly #interruptions: Record<Explains, Interruption[]> = { late: [], graced: [] };
  readonly #watchers: EventWatcher[] = [];
  readonly #checker = new Checker();
  readonly #screens: ReportWatcher[] = [];
  #machines: Machines | undefined;
  #executions: ExecutionLedger | undefined;
  #people: People | undefined;
  #eventLog: KafkaEventLog | undefined;
  #auditor: Person | undefined;
  #anna: Person | undefined;
  #isStopped = false;

  constructor(settings: ControlChaosSettings, print: (text: string) => void) {
    this.#settings = settings;
    this.#print = print;
    this.#plant = new Plant({ data: settings.data, portBase: settings.portBase, print });
  }

  /** Resolves with whether all promises were kept. */
  async run(): Promise<boolean> {
    const { faults, calmMs } = this.#settings;
    await this.#start();
    await this.#untilWorking(Date.now());
    for (const fault of faults) {
      await sleep(calmMs);
      await this.#under(fault);
    }
    await sleep(calmMs);
    return await this.#finish();
  }

  /** Stops everything that the run has started. Idempotent. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    for (const watcher of [...this.#watchers, ...this.#screens]) watcher.close();
    await this.#machines?.close();
    await this.#eventLog?.close();
    await this.#plant.stop();
    this.#executions?.close();
  }

  async #start(): Promise<void> {
    const { data, machines } = this.#settings;
    const plant = this.#plant;
    await mkdir(data, { recursive: true });
    await plant.start();
    this.#eventLog = new KafkaEventLog({ brokers: plant.cluster.kafka.brokers, logger: silentLogger });
    await this.#eventLog.start();
    this.#executions = new ExecutionLedger(join(data, 'executions.ndjson'));
    const lines = Array.from({ length: machines }, (_, index) => `plant1.line${index % 3}.machine${index}`);
    const leaving = lines.slice(-2);
    const leased = [0, 1].map((index) => `plant1.leased.machine${index}`);
    this.#machines = new Machines({
      ...{ url: plant.deviceUrl, executions: this.#executions, devices: [...lines, ...leased], leaving },
      tokenOf: (device) => plant.tokenOf(device),
    });
    const ben = await plant.person('ben');
    for (const [index, { token }] of [ben, await plant.person('screen')].entries()) {
      // Each prefers another node.
      const url = index === 0 ? plant.streamUrls : plant.streamUrls.toReversed();
      this.#watchers.push(new EventWatcher({ name: `screen ${index}`, url, token }));
      const place = { name: `trend ${index}`, url, token };
      this.#screens.push(new ReportWatcher(place, this.#checker, [...lines, ...leased]));
    }
    await this.#machines.start();
    const api = new ControlApi(plant.controlUrls, this.#ledger);
    this.#anna = await plant.person('anna');
    this.#auditor = await plant.person('auditor', ['auditor']);
    this.#people = new People({
      ...{ api, ledger: this.#ledger, anna: this.#anna, ben: { subject: 'ben', watcher: this.#watchers[0]! } },
      carl: await plant.person('carl', ['engineer']),
      dora: await plant.person('dora'),
      emil: await plant.person('emil', ['supervisor']),
      ...{ devices: lines, leased, scope },
    });
    this.#people.start();
    this.#print(`${lines.length + leased.length} devices report, ${this.#watchers.length} screens, 5 people.`);
  }

  async #under(fault: ControlFault): Promise<void> {
    const fromMs = Date.now();
    this.#print(`\n${fault.name}: ${fault.words}`);
    await fault.run(this.#plant);
    const toMs = Date.now();
    for (const kind of fault.explains) this.#interruptions[kind].push({ fromMs, toMs });
    const printStep = (step: string) => this.#print(`  ${((Date.now() - fromMs) / 1000).toFixed(2)} s: ${step}`);
    printStep('ready; waiting until a new command is done, and each screen receives a new alarm');
    await this.#untilWorking(toMs);
    printStep('works');
  }

  /** Resolves when a command that is sent now is done, and each screen has an alarm of a later time. */
  async #untilWorking(fromMs: number): Promise<void> {
    const api = new ControlApi(this.#plant.controlUrls);
    const { token } = this.#anna!;
    const command = async () => {
      const id = await this.#people!.command(this.#anna!, 'plant1.line0.machine0');
      assert.ok(id !== undefined, 'expected an accepted command');
      const { state } = await eventually(
        async () => {
          const body = await api.ok(token, 'GET', `/v1/commands/${id}`);
          assert.ok(body.final, `${id} is ${body.state}`);
          return body;
        },
        { deadlineMs: 60_000, pollMs: 50 },
      );
      assert.equal(state, 'done');
    };
    await Promise.all([
      eventually(command, { deadlineMs: againMs, pollMs: 200, describe: 'a command is done' }),
      ...this.#watchers.map((watcher) =>
        eventually(() => watcher.lastTimeMs > fromMs, {
          ...{ deadlineMs: againMs, pollMs: 50, describe: `${watcher.name} receives alarms` },
        }),
      ),
    ]);
  }

  async #finish(): Promise<boolean> {
    this.#print('\nPeople and devices stop.');
    await this.#people!.stop();
    await this.#machines!.stopReports();
    const facts: RunFacts = {
      ...{ api: new ControlApi(this.#plant.controlUrls), token: this.#auditor!.token, eventLog: this.#eventLog! },
      ...{ ledger: this.#ledger, executions: this.#executions!, watchers: this.#watchers },
      interruptions: this.#interruptions,
    };
    const check = new ControlCheck(facts);
    let faults: readonly string[] = [];
    // What follows by itself: delays, shelves, devices that become stale, commands without an outcome.
    await eventually(
      async () => {
        faults = await check.run();
        assert.deepEqual(faults, []);
      },
      { deadlineMs: drainMs, pollMs: 1_000, describe: 'everything has drained' },
    ).catch(() => undefined);
    this.#checker.end(this.#machines!.acknowledged, this.#machines!.sent);
    const { lost, doubled, disordered, invalid } = this.#checker.verdict;
    this.#print(`\n${check.table()}\n`);
    const failures = [...faults];
    if (lost + doubled + disordered + invalid > 0)
      failures.push(
        `reports at screens: expected none lost, doubled or out of order, got ${this.#checker.findings.join('; ')}`,
      );
    for (const failure of failures.slice(0, 40)) this.#print(`FAILED: ${failure}`);
    if (failures.length === 0) this.#print('Alarms, commands and audit are as promised.');
    return failures.length === 0;
  }
}
