import type { KafkaEventLog } from '@tailrace/eventlog/kafka';
import type { ActLedger } from './act-ledger.ts';
import { type DeviceHistory, type Interruption, type LoggedReport, replayDevice } from './alarm-replay.ts';
import { alarmRules } from './alarm-rules.ts';
import { auditViolations } from './audit-checker.ts';
import { type Automation, notifiedPriority, tick } from './automation.ts';
import { notificationViolations, scheduleViolations } from './automation-checker.ts';
import type { ControlApi } from './control-api.ts';
import type { Explains } from './control-faults.ts';
import { commandViolations } from './execution-checker.ts';
import type { ExecutionLedger } from './execution-ledger.ts';
import { type LoggedEvents, readEvents, readReports, readTopic } from './logged.ts';
import { alarmTimes } from './plant.ts';
import {
  missingReports,
  type Received,
  type ReceivedReports,
  reportViolations,
  watcherViolations,
} from './watcher-checker.ts';

/** What a run leaves. */
export interface RunFacts {
  readonly api: ControlApi;
  /** Of an auditor who sees all devices. */
  readonly token: string;
  readonly eventLog: KafkaEventLog;
  readonly ledger: ActLedger;
  readonly executions: Pick<ExecutionLedger, 'read'>;
  readonly watchers: readonly Received[];
  readonly screens: readonly ReceivedReports[];
  /** IDs of the reports that ingest has acknowledged. */
  readonly acknowledged: ReadonlySet<string>;
  readonly interruptions: Readonly<Record<Explains, readonly Interruption[]>>;
  readonly automation: Pick<Automation, 'notified'>;
  /** Subjects that send commands without the ledger. */
  readonly otherSenders: readonly string[];
}

const telemetry = 'tailrace.telemetry';
const events = 'tailrace.events';
const audit = 'tailrace.audit';

/** Compares the log, the API of control, screens and ledgers with each other. */
export class ControlCheck {
  readonly #facts: RunFacts;
  readonly #rows: (readonly [what: string, count: number])[] = [];
  /** Of the devices that differ from the reference, for `replayDevice`. */
  readonly differing: DeviceHistory[] = [];

  constructor(facts: RunFacts) {
    this.#facts = facts;
  }

  /** Resolves with a sentence for each broken promise. May be repeated. */
  async run(): Promise<string[]> {
    const { eventLog, ledger, executions, watchers, otherSenders, automation } = this.#facts;
    this.#rows.length = 0;
    this.differing.length = 0;
    const logged = await readEvents(eventLog, events);
    const reports = await readReports(eventLog, telemetry);
    const violations = await this.#alarmViolations(logged, reports);
    violations.push(...missingReports(this.#facts.acknowledged, reports));
    for (const screen of this.#facts.screens) violations.push(...reportViolations(screen, reports));
    for (const watcher of watchers) violations.push(...watcherViolations(watcher, logged));
    violations.push(...(await this.#storeViolations(logged)));
    const executed = executions.read();
    const { acts } = ledger;
    violations.push(...commandViolations({ acts, logged: logged.commands, executions: executed, otherSenders }));
    const finals = [...logged.commands.values()].map((all) => all.findLast(({ isFinal }) => isFinal)?.transition.state);
    for (const state of ['done', 'failed', 'expired', 'canceled', 'unconfirmed'])
      this.#count(`commands ${state}`, finals.filter((each) => each === state).length);
    this.#count('executions at devices', executed.length);
    violations.push(...(await this.#auditViolations(logged)));
    const { notified } = automation;
    violations.push(...notificationViolations(logged.transitions.flat(), notified, notifiedPriority));
    this.#count('notifications, repeated ones included', notified.length);
    return violations;
  }

  /** As a Markdown table. */
  table(): string {
    const lines = [['what', 'count'], ['---', '---'], ...this.#rows.map(([what, count]) => [what, String(count)])];
    return lines.map((line) => `| ${line.join(' | ')} |`).join('\n');
  }

  async #alarmViolations(
    logged: LoggedEvents,
    reports: ReadonlyMap<string, readonly LoggedReport[]>,
  ): Promise<string[]> {
    const { eventLog, interruptions } = this.#facts;
    const { epoch } = await eventLog.describeTopic(telemetry);
    const { epoch: eventsEpoch } = await eventLog.describeTopic(events);
    const violations: string[] = [];
    const sums = { compared: 0, excuses: 0, early: 0, reports: 0 };
    for (const device of new Set([...reports.keys(), ...logged.answers.keys()])) {
      const actions = new Map([...logged.actions].filter(([, action]) => action.device === device));
      const answers = logged.answers.get(device) ?? [];
      const place = { device, epoch, eventsEpoch };
      const history = { ...place, rules: alarmRules, reports: [...(reports.get(device) ?? [])], actions, answers };
      const verdict = replayDevice(history, { ...interruptions, ...alarmTimes });
      if (verdict.difference !== '') {
        violations.push(verdict.difference);
        this.differing.push(history);
      }
      sums.compared += verdict.compared;
      sums.excuses += verdict.excuses;
      sums.early += verdict.early;
      sums.reports += history.reports.length;
    }
    this.#count('reports in the log', sums.reports);
    this.#count('transitions and refusals that equal those of the reference', sums.compared);
    this.#count('actions of people', logged.actions.size);
    this.#count('transitions that readers drop', logged.dropped);
    this.#count('takeovers of partitions by alarms', logged.takeovers);
    this.#count('devices with a grace after an interruption', sums.excuses);
    this.#count('late reports, after a delay had passed', sums.early);
    return violations;
  }

  /** The store of control has each transition once, and the alarms that are not normal. */
  async #storeViolations(logged: LoggedEvents): Promise<string[]> {
    const { api, token } = this.#facts;
    const violations: string[] = [];
    const expected = logged.transitions.flat();
    const history = await api.pages(token, '/v1/alarms/history', 'transitions', 'before');
    const lineOf = ({ id, state, number, device, rule, time, action = '' }: (typeof expected)[number]) =>
      [id, device, rule, number, state, time, action].join(' ');
    const stored = new Map<string, string>(history.map((each) => [each.id, lineOf(each)]));
    if (stored.size !== history.length)
      violations.push(`history: expected each once, got ${history.length - stored.size} twice`);
    const differing = expected.filter((each) => stored.get(each.id) !== lineOf(each));
    if (differing.length > 0 || stored.size !== expected.length)
      violations.push(
        `history: expected the ${expected.length} transitions of the log, got ${stored.size}, ` +
          `${differing.length} of the log are missing or different: ${differing.slice(0, 2).map(lineOf).join('; ')}`,
      );
    const last = new Map(expected.map((each) => [`${each.device} ${each.rule}`, each]));
    const standing = [...last.values()]
      .filter(({ state }) => state !== 'normal')
      .map(lineOf)
      .sort();
    const listed = (await api.pages(token, '/v1/alarms', 'alarms', 'after')).map(lineOf).sort();
    if (standing.join('\n') !== listed.join('\n'))
      violations.push(`list of alarms: expected ${standing.length}, got ${listed.length} or others`);
    this.#count('transitions in the history of control', stored.size);
    this.#count('alarms that are not normal at the end', listed.length);
    return violations;
  }

  async #auditViolations(logged: LoggedEvents): Promise<string[]> {
    const { api, token, eventLog, ledger } = this.#facts;
    const records: string[] = [];
    await readTopic(eventLog, audit, ({ value }) => void records.push(new TextDecoder().decode(value)));
    const exported = await api.ok(token, 'GET', '/v1/audit/export', undefined, 'lines');
    const violations = auditViolations({ acts: ledger.acts, commands: logged.commands, entries: exported, records });
    violations.push(...scheduleViolations(exported, tick));
    const { valid, entries, broken } = await api.ok(token, 'GET', '/v1/audit/verify');
    if (!valid) violations.push(`audit: expected valid chains, got ${JSON.stringify(broken)}`);
    if (entries !== exported.length) violations.push(`audit: expected ${entries} entries, got ${exported.length}`);
    this.#count('acts of people', ledger.acts.length);
    this.#count('entries of the audit', exported.length);
    this.#count('records of the audit in the topic', records.length);
    return violations;
  }

  #count(what: string, count: number): void {
    this.#rows.push([what, count]);
  }
}
