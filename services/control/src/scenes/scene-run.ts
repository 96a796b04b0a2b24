import { TailraceError } from '@tailrace/protocol/error';
import type { PlanNode, PlannedCommand, PlannedStep, ScenePlan } from './plan.ts';
import { type DeviceSnapshot, type Restoration, restorations } from './restoration.ts';

/*
 * A run of a scene, as plain data, and what follows from each event. It is stored after each event, in the transaction
 * that submits the commands.
 *
 *   confirming ──▶ running ──▶ done, partial, failed
 *       │             │  ╲
 *       ▼             ▼   ╲▶ compensating ──▶ compensated, failed
 *   canceled       canceled
 *
 * | state        | what may be true |
 * | ------------ | --- |
 * | confirming   | no step has started; a second person is to confirm the run |
 * | running      | steps start as those before them finish |
 * | compensating | a step with `onFailure: compensate` was not done. No other step starts; what has started finishes; |
 * |              | then the steps that may have been executed are reversed one by one, the last one first |
 * | done         | all steps are done |
 * | partial      | some steps are not done, and none of them stops the run: their devices are in `notDone` |
 * | failed       | a step that stops the run was not done, or something was not compensated, or no step is done |
 * | compensated  | everything that was done has been reversed |
 * | canceled     | a person has canceled it, and what had started has finished |
 *
 * Each step becomes one command, whose key follows from run and step. What is to be submitted and canceled follows from
 * the state (`workOf`), not from the event that led to it. So an event that is applied twice, or a process that stops
 * between two of its acts, submits nothing twice and loses nothing. Compensation in reverse order is that of sagas (H.
 * Garcia-Molina, K. Salem, 1987): the steps of a scene are no transaction, and others see them.
 */

export const runStates = [
  'confirming',
  'running',
  'compensating',
  'done',
  'partial',
  'failed',
  'compensated',
  'canceled',
] as const;
export type RunState = (typeof runStates)[number];

export const stepStates = [
  'waiting',
  'started',
  'done',
  'failed',
  'expired',
  'unconfirmed',
  'unavailable',
  'skipped',
  'canceled',
] as const;
export type StepState = (typeof stepStates)[number];

export interface RunStep {
  readonly state: StepState;
  /** When it has started, epoch ms; of a wait also what its end follows from. */
  readonly startedMs?: number;
  /** Why it is not done. */
  readonly code?: string;
  readonly message?: string;
}

export interface SceneRun {
  readonly id: string;
  readonly plan: ScenePlan;
  readonly state: RunState;
  /** Subject of who has started it; a second person confirms it. */
  readonly by: string;
  /** One for each of `plan.steps`. */
  readonly steps: readonly RunStep[];
  /** By device: what the steps may have changed, from before the first step. */
  readonly snapshot: Readonly<Record<string, DeviceSnapshot>>;
  /** Commands that reverse what was done, and their states; while it compensates, and after it. */
  readonly compensation: readonly (PlannedCommand & RunStep)[];
  /** Steps that may have been executed, and cannot be reversed. */
  readonly notReversed: Restoration['notReversed'];
  /** No further step starts: for this reason. */
  readonly stop?: 'failure' | 'compensation' | 'cancel';
}

export type RunEvent =
  /** Its first, and after a restart: what can start, starts. */
  | { readonly kind: 'resume' }
  | { readonly kind: 'confirm'; readonly by: string }
  | { readonly kind: 'cancel'; readonly by: string }
  /** A command of the run has another state. `key`: of the step; one of the compensation has `~` before it. */
  | {
      readonly kind: 'command';
      readonly key: string;
      readonly state: 'queued' | 'sent' | 'done' | 'failed' | 'expired' | 'canceled' | 'unconfirmed';
      readonly code?: string;
      readonly message?: string;
    };

export interface RunAdvance {
  readonly run: SceneRun;
  /** When to `resume`, epoch ms; undefined: no step waits for a time. */
  readonly wakeMs?: number;
}

export function createSceneRun(id: string, plan: ScenePlan, by: string, snapshot: SceneRun['snapshot']): SceneRun {
  const steps = plan.steps.map((): RunStep => ({ state: 'waiting' }));
  const state = plan.needsConfirmation ? 'confirming' : 'running';
  return { id, plan, state, by, steps, snapshot, compensation: [], notReversed: [] };
}

export function isRunFinal(state: RunState): boolean {
  return state !== 'confirming' && state !== 'running' && state !== 'compensating';
}

/**
 * Returns the run after an event, and what to do. An event that changes nothing returns the same run. Throws
 * `conflict` for the confirmation of a run that waits for none, and `forbidden` for one by who has started it.
 */
export function advance(run: SceneRun, event: RunEvent, nowMs: number): RunAdvance {
  return settled(applied(run, event), nowMs);
}

/** A command of a run that has started and is not final. */
export interface ActiveCommand extends PlannedCommand {
  /** When its step has started, epoch ms. */
  readonly startedMs: number;
  /** Whether it is to be canceled, or not submitted if it was not yet. */
  readonly isCanceled: boolean;
}

/** Returns the commands that a run waits for: each is to be submitted unless it was, and some are to be canceled. */
export function workOf(run: SceneRun): readonly ActiveCommand[] {
  if (isRunFinal(run.state)) return [];
  const active = (command: PlannedCommand, step: RunStep, isStopped: boolean): readonly ActiveCommand[] => {
    if (step.state !== 'started') return [];
    const isAway = step.code === 'unavailable' && command.ifOffline === 'skip';
    return [{ ...command, startedMs: step.startedMs ?? 0, isCanceled: isStopped || isAway }];
  };
  return [
    ...run.plan.steps.flatMap((planned, index) =>
      planned.kind === 'command' ? active(planned, run.steps[index]!, run.stop !== undefined) : [],
    ),
    ...run.compensation.flatMap(({ state, startedMs, code, message, ...command }) =>
      active(
        command,
        { state, ...(startedMs === undefined ? {} : { startedMs }), ...(code === undefined ? {} : { code }) },
        false,
      ),
    ),
  ];
}

function applied(run: SceneRun, event: RunEvent): SceneRun {
  switch (event.kind) {
    case 'resume':
      return run;
    case 'confirm':
      if (run.state !== 'confirming')
        throw new TailraceError('conflict', `scene run: expected one that is confirming, got one that is ${run.state}`);
      if (event.by === run.by)
        throw new TailraceError('forbidden', `scene run: expected a confirmation by another person than its sender`);
      return { ...run, state: 'running' };
    case 'cancel':
      if (isRunFinal(run.state) || run.stop === 'compensation' || run.stop === 'cancel') return run;
      return stopped(run, 'cancel');
    case 'command':
      return event.key.startsWith('~') ? withCompensation(run, event) : withCommand(run, event);
  }
}

type CommandEvent = Extract<RunEvent, { kind: 'command' }>;

function withCommand(run: SceneRun, event: CommandEvent): SceneRun {
  const index = run.plan.steps.findIndex(({ key }) => key === event.key);
  const planned = run.plan.steps[index];
  if (planned?.kind !== 'command') return run;
  const before = run.steps[index]!;
  const after = stepAfter(before, event);
  if (after === before) return run;
  const next = { ...run, steps: run.steps.with(index, after) };
  if (after.state === 'done' || after.state === 'started') return next;
  if (planned.onFailure === 'continue' || isRunFinal(run.state) || run.stop !== undefined) return next;
  return stopped(next, planned.onFailure === 'stop' ? 'failure' : 'compensation');
}

function withCompensation(run: SceneRun, event: CommandEvent): SceneRun {
  const index = run.compensation.findIndex(({ key }) => key === event.key);
  const before = run.compensation[index];
  if (before === undefined) return run;
  const { state, startedMs, code, message, ...command } = before;
  const after = stepAfter(before, event);
  if (after === before) return run;
  return { ...run, compensation: run.compensation.with(index, { ...command, ...after }) };
}

/** Returns the same step if the event changes nothing. */
function stepAfter(step: RunStep, { state, code, message }: CommandEvent): RunStep {
  // A command has one final state; only `unconfirmed` may be corrected.
  if (step.state !== 'started' && step.state !== 'unconfirmed') return step;
  const started = step.startedMs === undefined ? {} : { startedMs: step.startedMs };
  const why = { ...(code === undefined ? {} : { code }), ...(message === undefined ? {} : { message }) };
  const isQueued = step.code === 'unavailable';
  if (state === 'queued' || state === 'sent') {
    if (step.state !== 'started' || isQueued === (state === 'queued')) return step;
    return state === 'sent'
      ? { state: 'started', ...started }
      : { state: 'started', ...started, code: 'unavailable', message: 'the device has no session' };
  }
  if (state === 'done') return { state, ...started };
  // It has waited for its device, and was not sent.
  if (isQueued && (state === 'canceled' || state === 'expired')) return { ...step, state: 'unavailable' };
  if (state === 'failed' && code === 'unavailable') return { state: 'unavailable', ...started, ...why };
  if (state === step.state) return step;
  return { state, ...started, ...why };
}

/** What has not started is skipped. */
function stopped(run: SceneRun, stop: NonNullable<SceneRun['stop']>): SceneRun {
  const steps = run.steps.map((step, index): RunStep => {
    const isWait = run.plan.steps[index]!.kind === 'wait';
    return step.state === 'waiting' || (step.state === 'started' && isWait) ? { state: 'skipped' } : step;
  });
  return { ...run, steps, stop, ...(stop === 'compensation' ? { state: 'compensating' } : {}) };
}

/** Starts what can start, and finishes the run when nothing is active. */
function settled(run: SceneRun, nowMs: number): RunAdvance {
  if (isRunFinal(run.state)) return { run };
  if (run.state === 'confirming') return { run: run.stop === 'cancel' ? { ...run, state: 'canceled' } : run };
  const steps = [...run.steps];
  let wakeMs = Number.POSITIVE_INFINITY;
  const start = (index: number): boolean => {
    const planned = run.plan.steps[index]!;
    if (steps[index]!.state === 'waiting') steps[index] = { state: 'started', startedMs: nowMs };
    const { state, startedMs = nowMs } = steps[index]!;
    if (state !== 'started') return true;
    if (planned.kind === 'command') return false;
    if (nowMs - startedMs >= planned.ms) steps[index] = { state: 'done', startedMs };
    else wakeMs = Math.min(wakeMs, startedMs + planned.ms);
    return steps[index]!.state === 'done';
  };
  if (run.stop === undefined) walk(run.plan.root, start);
  const next = steps.every((step, index) => step === run.steps[index]) ? run : { ...run, steps };
  if (steps.some(({ state }) => state === 'started'))
    return { run: next, ...(wakeMs === Number.POSITIVE_INFINITY ? {} : { wakeMs }) };
  return { run: next.stop === 'compensation' ? compensating(next, nowMs) : finished(next) };
}

/** Starts the steps of a node whose turn it is. Returns whether all of them have finished. */
function walk(node: PlanNode, start: (step: number) => boolean): boolean {
  if ('step' in node) return start(node.step);
  if ('sequence' in node) return node.sequence.every((each) => walk(each, start));
  // Not `every`: all of them start.
  return node.parallel.map((each) => walk(each, start)).every(Boolean);
}

function finished(run: SceneRun): SceneRun {
  const done = run.steps.filter(({ state }) => state === 'done').length;
  const isDone = done === run.steps.length;
  if (run.stop === 'cancel') return { ...run, state: 'canceled' };
  if (run.stop === 'failure') return { ...run, state: 'failed' };
  const commandsDone = run.steps.some(({ state }, index) => state === 'done' && isCommand(run.plan.steps[index]!));
  return { ...run, state: isDone ? 'done' : commandsDone ? 'partial' : 'failed' };
}

/** Reverses one step after the other. */
function compensating(run: SceneRun, nowMs: number): SceneRun {
  let next = run;
  if (run.compensation.length === 0 && run.notReversed.length === 0) {
    const { commands, notReversed } = restorations(run);
    const compensation = commands.map((each) => ({ ...each, key: `~${each.key}`, state: 'waiting' as const }));
    next = { ...run, compensation, notReversed };
  }
  if (next.compensation.some(({ state }) => state === 'started')) return next;
  const index = next.compensation.findIndex(({ state }) => state === 'waiting');
  if (index === -1) {
    const isReversed = next.notReversed.length === 0 && next.compensation.every(({ state }) => state === 'done');
    return { ...next, state: isReversed ? 'compensated' : 'failed' };
  }
  const started = { ...next.compensation[index]!, state: 'started' as const, startedMs: nowMs };
  return { ...next, compensation: next.compensation.with(index, started) };
}

function isCommand(step: PlannedStep): step is PlannedCommand {
  return step.kind === 'command';
}

/** A device whose step is not done, for people. */
export interface NotDone {
  readonly step: string;
  readonly device: string;
  readonly state: StepState;
  readonly code?: string;
  readonly message?: string;
}

/** Returns the commands of a run that are not done, with their devices. */
export function notDone(run: SceneRun): readonly NotDone[] {
  return run.steps.flatMap((step, index): NotDone[] => {
    const planned = run.plan.steps[index]!;
    if (step.state === 'done' || planned.kind !== 'command') return [];
    const { state, code, message } = step;
    const why = { ...(code === undefined ? {} : { code }), ...(message === undefined ? {} : { message }) };
    return [{ step: planned.key, device: planned.device, state, ...why }];
  });
}
