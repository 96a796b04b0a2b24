import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { KafkaEventLog } from '@tailrace/eventlog/kafka';
import { silentLogger } from '@tailrace/platform/logger';
import { eventually } from '@tailrace/testkit/eventually';
import { ActLedger } from './act-ledger.ts';
import type { DeviceHistory, Interruption } from './alarm-replay.ts';
import { Automation } from './automation.ts';
import { ControlApi } from './control-api.ts';
import { ControlCheck, type RunFacts } from './control-check.ts';
import { type ControlFault, type Explains, outageName } from './control-faults.ts';
import { ExecutionLedger } from './execution-ledger.ts';
import { Machines } from './machines.ts';
import { People, type Person } from './people.ts';
import { Plant } from './plant.ts';
import { postgresOutage } from './postgres-outage.ts';
import { EventWatcher, ReportWatcher } from './watchers.ts';

export interface ControlChaosSettings {
  readonly faults: readonly ControlFault[];
  readonly machines: number;
  /** Before each fault. */
  readonly calmMs: number;
  /** How long PostgreSQL is away in an outage. */
  readonly outageMs: number;
  /** For logs and ledgers. */
  readonly data: string;
  readonly portBase: number;
}

/** How long after a fault commands and alarms may be late, and how long everything may take to drain at the end, ms. */
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
  readonly #screens: ReportWatcher[] = [];
  readonly #automation = new Automation();
  readonly #failures: string[] = [];
  #machines: Machines | undefined;
  #executions: ExecutionLedger | undefined;
  #people: People | undefined;
  #eventLog: KafkaEventLog | undefined;
  #auditor: Person | undefined;
  #anna: Person | undefined;
  #engineer: Person | undefined;
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
    await this.#automation.stop();
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
    const clock = 'plant1.clock.machine0';
    const devices = [...lines, ...leased, clock];
    this.#machines = new Machines({
      ...{ url: plant.deviceUrl, executions: this.#executions, devices, leaving },
      tokenOf: (device) => plant.tokenOf(device),
    });
    const ben = await plant.person('ben');
    for (const [index, { token }] of [ben, await plant.person('screen')].entries()) {
      // Each prefers another node.
      const url = index === 0 ? plant.streamUrls : plant.streamUrls.toReversed();
      this.#watchers.push(new EventWatcher({ name: `screen ${index}`, url, token }));
      this.#screens.push(new ReportWatcher({ name: `trend ${index}`, url, token }));
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
    this.#engineer = await plant.person('engineer', ['engineer']);
    await this.#automation.start(new ControlApi(plant.controlUrls), this.#engineer, clock);
    this.#print(`${devices.length} devices report, ${this.#watchers.length} screens, 5 people.`);
  }

  async #under(fault: ControlFault): Promise<void> {
    const fromMs = Date.now();
    this.#print(`\n${fault.name}: ${fault.words}`);
    const printStep = (step: string) => this.#print(`  ${((Date.now() - fromMs) / 1000).toFixed(2)} s: ${step}`);
    if (fault.name === outageName) this.#failures.push(...(await this.#outage(printStep)));
    else await fault.run(this.#plant);
    const toMs = Date.now();
    for (const kind of fault.explains) this.#interruptions[kind].push({ fromMs, toMs });
    printStep('ready; waiting until a new command is done, and each screen receives a new alarm');
    await this.#untilWorking(toMs);
    printStep('works');
  }

  #outage(printStep: (step: string) => void): Promise<string[]> {
    return postgresOutage({
      ...{ plant: this.#plant, outageMs: this.#settings.outageMs, ledger: this.#ledger, watchers: this.#watchers },
      ...{ screens: this.#screens, automation: this.#automation, api: new ControlApi(this.#plant.controlUrls) },
      ...{ token: this.#anna!.token, eventLog: this.#eventLog!, printStep },
    });
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
    await this.#automation.pause(new ControlApi(this.#plant.controlUrls), this.#engineer!);
    await this.#people!.stop();
    await this.#machines!.stopReports();
    const facts: RunFacts = {
      ...{ api: new ControlApi(this.#plant.controlUrls), token: this.#auditor!.token, eventLog: this.#eventLog! },
      ...{ ledger: this.#ledger, executions: this.#executions!, watchers: this.#watchers },
      ...{ screens: this.#screens, acknowledged: this.#machines!.acknowledged },
      ...{ interruptions: this.#interruptions, automation: this.#automation, otherSenders: ['engineer'] },
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
    this.#print(`\n${check.table()}\n`);
    const failures = [...this.#failures, ...faults];
    if (check.differing.length > 0) await this.#keep(check.differing);
    for (const failure of failures.slice(0, 40)) this.#print(`FAILED: ${failure}`);
    if (failures.length === 0) this.#print('Alarms, commands and audit are as promised.');
    return failures.length === 0;
  }

  /** Writes what `replayDevice` needs to find a difference again. */
  async #keep(histories: readonly DeviceHistory[]): Promise<void> {
    const path = join(this.#settings.data, 'differing.json');
    const all = histories.map(({ actions, ...history }) => ({ ...history, actions: [...actions] }));
    await writeFile(path, JSON.stringify({ interruptions: this.#interruptions, histories: all }));
    this.#print(`The histories of ${histories.length} devices that differ are in ${path}.`);
  }
}
