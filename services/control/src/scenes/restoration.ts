import type { CommandValue } from '@tailrace/protocol/device-command';
import { TailraceError } from '@tailrace/protocol/error';
import type { PlannedCommand, ScenePlan } from './plan.ts';

/*
 * What reverses the steps of a run: the compensation that a step names, or, for the command `set`, the values from
 * before the run. What was unavailable then has no value to restore, and is named instead: Home Assistant has restored
 * the state "unavailable" as if it were one.
 */

/** A device before the first step of a run. */
export interface DeviceSnapshot {
  /** Whether its values were known to be current: it was neither stale nor offline. */
  readonly isAvailable: boolean;
  /** Last values of the tags that the run sets; one with a bad quality, or without a value, is absent. */
  readonly values: Readonly<Record<string, CommandValue>>;
}

/** A run that has finished, or starts no further step. */
export interface ReversibleRun {
  readonly plan: ScenePlan;
  /** One for each of `plan.steps`. */
  readonly steps: readonly { readonly state: string }[];
  /** By device. */
  readonly snapshot: Readonly<Record<string, DeviceSnapshot>>;
}

export interface Restoration {
  /** In the order in which they run. */
  readonly commands: readonly PlannedCommand[];
  /** Steps that may have been executed, and are not reversed, or not all of it. */
  readonly notReversed: readonly { readonly step: string; readonly device: string; readonly reason: string }[];
}

/** The command that writes the tags of its parameters, by convention (docs/PROTOCOL.md, "Commands"). */
const setCommand = 'set';

/** Returns the tags that a run sets, by device, and that no compensation restores. */
export function snapshotTags(plan: ScenePlan): ReadonlyMap<string, readonly string[]> {
  const tags = new Map<string, Set<string>>();
  for (const step of plan.steps) {
    if (step.kind !== 'command' || step.command !== setCommand || step.compensation !== undefined) continue;
    const known = tags.get(step.device) ?? new Set();
    for (const tag of Object.keys(step.params)) known.add(tag);
    tags.set(step.device, known);
  }
  return new Map([...tags].map(([device, known]) => [device, [...known]]));
}

/** Returns the commands that reverse what a run has done, the last step first. */
export function restorations(run: ReversibleRun): Restoration {
  const commands: PlannedCommand[] = [];
  const notReversed: Restoration['notReversed'][number][] = [];
  const { plan, steps, snapshot } = run;
  for (let index = plan.steps.length - 1; index >= 0; index--) {
    const step = plan.steps[index]!;
    const { state } = steps[index]!;
    // What is unconfirmed may have been executed.
    if (step.kind !== 'command' || (state !== 'done' && state !== 'unconfirmed')) continue;
    const { compensation, ...reverse } = step;
    const { key, device } = step;
    const common = { ...reverse, ifOffline: 'skip', onFailure: 'continue' } as const;
    if (compensation !== undefined) {
      commands.push({ ...common, ...compensation });
      continue;
    }
    if (step.command !== setCommand) {
      notReversed.push({ step: key, device, reason: 'the step has no compensation' });
      continue;
    }
    const before = snapshot[device];
    if (before === undefined || !before.isAvailable) {
      notReversed.push({ step: key, device, reason: 'the device was unavailable before the run' });
      continue;
    }
    const known = Object.keys(step.params).filter((tag) => Object.hasOwn(before.values, tag));
    const unknown = Object.keys(step.params).filter((tag) => !known.includes(tag));
    if (unknown.length > 0)
      notReversed.push({
        step: key,
        device,
        reason: `no value from before the run is known of: ${unknown.join(', ')}`,
      });
    if (known.length === 0) continue;
    const params = Object.fromEntries(known.map((tag) => [tag, before.values[tag]!]));
    commands.push({ ...common, command: setCommand, params });
  }
  return { commands, notReversed };
}

/**
 * Returns the plan that undoes a run, and the steps that it cannot undo. Throws `conflict` where there is nothing to
 * undo.
 */
export function undoPlan(run: ReversibleRun): {
  readonly plan: ScenePlan;
  readonly notReversed: Restoration['notReversed'];
} {
  const { commands, notReversed } = restorations(run);
  if (commands.length === 0) {
    const reasons = notReversed.map(({ device, reason }) => `${device}: ${reason}`).slice(0, 5);
    const why = reasons.length === 0 ? 'no step was done' : reasons.join('; ');
    throw new TailraceError('conflict', `scene run: expected a step that can be undone, got none: ${why}`);
  }
  const { scene, version, values, needsConfirmation } = run.plan;
  const root = { sequence: commands.map((_, step) => ({ step })) };
  return { plan: { scene, version, values, steps: commands, root, needsConfirmation }, notReversed };
}
