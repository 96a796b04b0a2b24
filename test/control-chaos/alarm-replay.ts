import type { AlarmTransition } from '@tailrace/protocol/control-event-json';
import type { Report } from '@tailrace/protocol/report';
import type { EvaluatedTo } from '@tailrace/rules/evaluation/point-state';
import { compileExpression } from '@tailrace/rules/expression';
import { alarmId, transitionId } from '@tailrace/rules/lifecycle/alarm-identity';
import type { AlarmAction } from '@tailrace/rules/lifecycle/alarm-transition';
import type { Rule } from '@tailrace/rules/rule';
import { ReferenceAlarms, type ReferenceTransition } from '../../packages/rules/test/reference.ts';

/*
 * Compares the alarms of a device in the log with those of the single-threaded reference, field by field.
 *
 * The reference takes the reports in the order of the log, and the actions of people. Three facts are not in the order
 * of one topic, and are taken from the log as follows. Each is bounded, so that a fault cannot pass as one of them.
 *
 * - *Where an action comes among the reports.* It is in another topic. The transition has the position of the report
 *   before it (`EvaluatedTo`). An action that is refused changes nothing, and is applied in the order of the answers.
 * - *A delay that passes before a late report.* A delay passes by the watermark, the clock of ingest. A report that
 *   reaches the log late may have been received before. The transition has the time. It is accepted only if another
 *   report of the partition, before the late one, shows that the watermark was there, or if the late one was received
 *   while the log or ingest was away.
 * - *Stale devices after an interruption.* A device has a grace to report again. It is accepted only up to `graceMs`
 *   after an interruption of the log or of alarms, and delays or replaces nothing but the transition of a stale rule.
 */

/** A report of the log. */
export interface LoggedReport {
  readonly seq: number;
  readonly report: Report;
  /** The newest time of receipt of all reports before it in the partition, epoch ms; 0: there is none. */
  readonly receivedBefore: number;
}

/** What alarms has written about the device, in the order of the events. */
export type AlarmAnswer =
  | { readonly transition: AlarmTransition; readonly place: EvaluatedTo }
  | { readonly refused: { readonly action: string; readonly rule: string; readonly code: string } };

/** What the log has of a device. */
export interface DeviceHistory {
  readonly device: string;
  /** Of the telemetry topic. */
  readonly epoch: string;
  /** Of the topic of events. */
  readonly eventsEpoch: string;
  /** Those that match the device. They do not change. */
  readonly rules: readonly Rule[];
  readonly reports: readonly LoggedReport[];
  /** Of people, by ID. */
  readonly actions: ReadonlyMap<string, AlarmAction>;
  readonly answers: readonly AlarmAnswer[];
}

/** A time in which something was away, epoch ms. */
export interface Interruption {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface ReplayBounds {
  /** When the log or ingest was away: a report may have reached the log late. */
  readonly late: readonly Interruption[];
  /** When the log or alarms was away: devices have a grace. */
  readonly graced: readonly Interruption[];
  /** Settings of alarms, ms. */
  readonly graceMs: number;
  readonly slackMs: number;
}

export interface ReplayVerdict {
  /** A sentence for the first difference; empty: there is none. */
  readonly difference: string;
  /** Transitions and refusals that were compared. */
  readonly compared: number;
  /** How often a device had a grace, and a delay passed before a late report. */
  readonly excuses: number;
  readonly early: number;
}

interface Excuse {
  /** Of the rule: the transitions of each one show the grace by themselves. */
  readonly rule: string;
  /** Before the report of this index. */
  readonly before: number;
  readonly untilMs: number;
}

/** After an interruption: the time to connect again. */
const marginMs = 10_000;
/** As in the reference. */
const latenessMs = 500;
/** Less than the distance of two timers. */
const instantMs = 0.0005;
const excusesMax = 100;
/** Later than any timer. */
const endMs = Number.MAX_SAFE_INTEGER;

/** Compares what alarms has written of a device with the reference. */
export function replayDevice(history: DeviceHistory, bounds: ReplayBounds): ReplayVerdict {
  const excuses: Excuse[] = [];
  for (;;) {
    const replay = new Replay(history, bounds, excuses);
    const difference = replay.run();
    const { excuse } = replay;
    const isRepeated = excuses.some(
      ({ rule, before, untilMs }) => rule === excuse?.rule && before === excuse.before && untilMs >= excuse.untilMs,
    );
    if (excuse === undefined || isRepeated || excuses.length >= excusesMax)
      return { difference, compared: replay.matched, excuses: excuses.length, early: replay.early };
    excuses.push(excuse);
  }
}

const expressions = new Map<string, ReturnType<typeof compileExpression>>();

function createReference(): ReferenceAlarms {
  return new ReferenceAlarms((text, values) => {
    let expression = expressions.get(text);
    if (expression === undefined) {
      expression = compileExpression(text);
      expressions.set(text, expression);
    }
    return expression.evaluate(values);
  });
}

/** One pass over the answers of a device. */
class Replay {
  /** Set after a difference that a grace explains: the next pass has it. */
  excuse: Excuse | undefined;
  /** Answers that are equal. */
  matched = 0;
  readonly #history: DeviceHistory;
  readonly #bounds: ReplayBounds;
  readonly #excuses: readonly Excuse[];
  readonly #reference = createReference();
  /** Index of the next report. */
  #next = 0;
  #receivedMs = 0;
  /** The latest time up to which timers were passed before a report; see `#advance`. */
  #advancedMs = 0;
  /** Transitions of the reference that are equal to an answer. */
  #transitions = 0;
  #difference = '';
  /** Positions of reports that came after a delay has passed. */
  readonly #late = new Set<number>();

  constructor(history: DeviceHistory, bounds: ReplayBounds, excuses: readonly Excuse[]) {
    this.#history = history;
    this.#bounds = bounds;
    this.#excuses = excuses;
  }

  get early(): number {
    return this.#late.size;
  }

  /** Returns the first difference; empty: there is none. */
  run(): string {
    const { rules, reports, answers } = this.#history;
    this.#reference.rules(rules, reports[0]?.report.received ?? 0);
    for (const answer of answers) {
      if ('refused' in answer) this.#refuse(answer.refused);
      else this.#take(answer);
      if (this.#difference !== '') return this.#difference;
      this.matched++;
    }
    while (this.#next < reports.length && this.#isEven()) this.#feed();
    if (this.#isEven()) this.#advance(endMs);
    if (this.#isEven()) this.#findUnanswered();
    return this.#difference;
  }

  #take(answer: Extract<AlarmAnswer, { transition: unknown }>): void {
    const { transition, place } = answer;
    if (this.#pending() === undefined) this.#moveTo(place);
    if (this.#difference !== '') return;
    const { action: id = '' } = transition;
    if (this.#pending() === undefined && id !== '') {
      const action = this.#history.actions.get(id);
      if (action === undefined)
        return void this.#differ(`${lineOf(transition)}: expected an action of a person, got ${id}`);
      this.#reference.action(action);
    }
    const expected = this.#pending();
    if (expected === undefined) return void this.#differ(`expected no transition, got ${lineOf(transition)}`);
    const { device, epoch, eventsEpoch } = this.#history;
    const [want, got] = [referenceLine(expected, device, epoch), lineOf(transition)];
    if (want !== got) return void this.#differ(`expected ${want}, got ${got}`, expected);
    const hash = transitionId(transition.rule, device, eventsEpoch, transition.number);
    if (transition.id !== hash) return void this.#differ(`${got}: expected the ID ${hash}, got ${transition.id}`);
    this.#transitions++;
  }

  #refuse({ action: id, rule, code }: { action: string; rule: string; code: string }): void {
    if (!this.#isEven()) return;
    const action = this.#history.actions.get(id);
    if (action === undefined) return void this.#differ(`expected an action of a person, got a refusal of ${id}`);
    const before = this.#reference.refused.length;
    this.#reference.action(action);
    const expected = this.#reference.refused[before];
    const got = `the refusal ${code} of ${id} at ${rule}`;
    if (expected === undefined) this.#differ(`expected a transition by ${id}, got ${got}`);
    else if (expected.code !== code) this.#differ(`expected the refusal ${expected.code}, got ${got}`);
  }

  /** Each action of a person has one answer. */
  #findUnanswered(): void {
    const { actions, answers } = this.#history;
    const unanswered = new Set(actions.keys());
    for (const answer of answers) {
      const id = 'refused' in answer ? answer.refused.action : answer.transition.action;
      if (id === undefined || id === '') continue;
      if (!unanswered.delete(id)) return void this.#differ(`the action ${id}: expected one answer, got two`);
    }
    for (const id of unanswered) this.#differ(`the action ${id}: expected an answer, got none`);
  }

  /** Passes the reports and timers up to the place of an answer. */
  #moveTo({ seq, cause, timersMs = 0, atMs = 0 }: EvaluatedTo): void {
    const { reports } = this.#history;
    while (this.#next < reports.length && reports[this.#next]!.seq <= seq) {
      this.#feed();
      if (this.#pending() !== undefined) return;
    }
    if (cause === 'action') this.#advance(timersMs);
    if (cause !== 'received_timer') return;
    // The transition has the time of the device. It is also expected at the same time of ingest, and not before.
    this.#advance(atMs - instantMs);
    if (this.#isEven()) this.#advance(atMs);
  }

  #feed(): void {
    const { report, seq } = this.#history.reports[this.#next]!;
    this.#applyExcuses();
    this.#reference.report(report, seq);
    this.#receivedMs = Math.max(this.#receivedMs, report.received ?? report.time);
    this.#next++;
    this.#advancedMs = 0;
  }

  #advance(untilMs: number): void {
    const late = this.#history.reports[this.#next];
    if (late !== undefined && untilMs > this.#receivedMs) {
      const { received = 0 } = late.report;
      if (received < untilMs) {
        const isProven = late.receivedBefore - this.#bounds.slackMs >= untilMs;
        if (!isProven && !isWithin(this.#bounds.late, received))
          return void this.#differ(
            `timers up to ${untilMs}: expected the report ${late.seq} of ${received} before them`,
          );
        this.#late.add(late.seq);
      }
    }
    this.#applyExcuses();
    if (late !== undefined) this.#advancedMs = untilMs;
    this.#reference.advance(untilMs);
  }

  #applyExcuses(): void {
    for (const { before, untilMs, rule } of this.#excuses)
      if (before === this.#next) this.#reference.excuse(untilMs, rule);
  }

  #pending(): ReferenceTransition | undefined {
    return this.#reference.transitions[this.#transitions];
  }

  /** Returns whether the reference has no transition that was not compared. Otherwise it is missing. */
  #isEven(): boolean {
    if (this.#difference !== '') return false;
    const missing = this.#pending();
    if (missing === undefined) return true;
    const { device, epoch } = this.#history;
    this.#differ(`expected ${referenceLine(missing, device, epoch)}, got none by then`, missing);
    return false;
  }

  #differ(difference: string, expected?: ReferenceTransition): void {
    this.#difference = `${this.#history.device}: ${difference}`;
    if (expected !== undefined) this.excuse = this.#excuseFor(expected);
  }

  /** Returns the grace that explains why the reference finds a device stale, and alarms does not, or later. */
  #excuseFor({ rule: id, cause, seq }: ReferenceTransition): Excuse | undefined {
    const { rules, reports, answers } = this.#history;
    const condition = rules.find((rule) => rule.id === id)?.condition;
    if (condition?.kind !== 'stale' || cause !== 'raised') return undefined;
    const { received: seenMs = 0 } = reports.find((each) => each.seq === seq)?.report ?? {};
    const raised = answers
      .slice(this.matched)
      .find((answer) => 'transition' in answer && answer.transition.rule === id && answer.transition.seq === seq);
    const waitMs = condition.afterMs + latenessMs;
    // The grace is a time from `untilMs` on: exactly this one if alarms found the device stale later.
    let untilMs: number;
    let isOpen = false;
    const { tag } = condition;
    const before = reports.findIndex((each) => each.seq === seq) + 1;
    const newestMs = Math.max(...reports.slice(0, before).map(({ report }) => timeOf(report, tag)));
    const next = reports.slice(before).find(({ report }) => isSeen(report, tag, newestMs));
    if (raised !== undefined && 'transition' in raised) untilMs = (raised.place.atMs ?? 0) - waitMs;
    else if (next !== undefined) {
      untilMs = Math.max(next.report.received ?? 0, this.#advancedMs) - waitMs + 1;
      isOpen = true;
    } else return undefined;
    const { graced, graceMs } = this.#bounds;
    const isGraced = graced.some(
      ({ fromMs, toMs }) =>
        seenMs <= toMs + marginMs &&
        untilMs <= toMs + marginMs + graceMs &&
        (isOpen ? untilMs + waitMs : untilMs) >= fromMs,
    );
    return isGraced && untilMs > seenMs ? { rule: id, before, untilMs } : undefined;
  }
}

/** Returns whether a report shows that the device, or its tag with a value of `newestMs`, is not stale. */
function isSeen(report: Report, tag: string | undefined, newestMs: number): boolean {
  if (report.historical) return false;
  return tag === undefined || timeOf(report, tag) >= newestMs;
}

/** Returns the newest time of a tag in a report, epoch ms; without one -Infinity. `tag` undefined: any. */
function timeOf({ readings, time }: Report, tag: string | undefined): number {
  const own = readings.filter((reading) => tag === undefined || reading.tag === tag);
  return Math.max(...own.map((reading) => reading.time ?? time));
}

function isWithin(interruptions: readonly Interruption[], atMs: number): boolean {
  return interruptions.some(({ fromMs, toMs }) => atMs >= fromMs - marginMs && atMs <= toMs + marginMs);
}

function lineOf({ firstOut = false, ruleVersion, ...fields }: AlarmTransition): string {
  const {
    rule,
    number,
    state,
    previous,
    cause,
    limit = '',
    priority,
    time,
    seq,
    alarm,
    value,
    until,
    action = '',
  } = fields;
  const all = { rule, version: ruleVersion, number, state, previous, cause, limit, priority, time, seq, alarm, value };
  return JSON.stringify({ ...all, firstOut, until, action });
}

function referenceLine({ activatedSeq, ...fields }: ReferenceTransition, device: string, epoch: string): string {
  const { rule, version, number, state, previous, cause, limit, priority, time, seq, value, firstOut, until, action } =
    fields;
  const alarm = activatedSeq < 0 ? '' : alarmId(rule, device, epoch, activatedSeq);
  const all = { rule, version, number, state, previous, cause, limit, priority, time, seq, alarm, value };
  return JSON.stringify({ ...all, firstOut, until, action });
}
