import type { CommandValue } from '@tailrace/protocol/device-command';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { isSubtree } from '@tailrace/protocol/pattern';
import {
  assertNoCycle,
  type CommandStep,
  type FailurePolicy,
  type Scene,
  type SceneArgument,
  type SceneStep,
  type SceneValues,
  sceneLimits,
  sceneValues,
} from './scene.ts';

/*
 * The plan of a run: all steps of a scene and of the scenes that it runs, with their devices and values. It is stored
 * with the run, so that a later version of a scene does not change a run that is active.
 */

/** A command for one device. */
export interface PlannedCommand {
  readonly kind: 'command';
  /** Place of the step in the scene, such as `3.1`, and the device if the step has several. Unique in the plan. */
  readonly key: string;
  readonly device: string;
  /** The gateway in front of the device; '': none. */
  readonly via: string;
  readonly command: string;
  readonly params: Readonly<Record<string, CommandValue>>;
  readonly timeoutMs: number;
  readonly ifOffline: 'skip' | 'wait';
  readonly onFailure: FailurePolicy;
  readonly compensation?: { readonly command: string; readonly params: Readonly<Record<string, CommandValue>> };
}

export interface PlannedWait {
  readonly kind: 'wait';
  readonly key: string;
  readonly ms: number;
}

export type PlannedStep = PlannedCommand | PlannedWait;

/** What runs when: a step, by its index in `ScenePlan.steps`, or nodes in order or at once. */
export type PlanNode =
  | { readonly step: number }
  | { readonly sequence: readonly PlanNode[] }
  | { readonly parallel: readonly PlanNode[] };

export interface ScenePlan {
  readonly scene: string;
  readonly version: number;
  readonly values: SceneValues;
  readonly steps: readonly PlannedStep[];
  readonly root: PlanNode;
  /** Whether a second person confirms the run before its first step. */
  readonly needsConfirmation: boolean;
}

/** What a plan needs to know of the installation. */
export interface PlanContext {
  readonly scenes: ReadonlyMap<string, Scene>;
  /** Returns the devices of a pattern that are not decommissioned, at most one more than a plan may have. */
  readonly devicesOf: (pattern: string) => readonly string[];
  /** Returns the devices of a group; undefined: it does not exist. */
  readonly devicesOfGroup: (group: string) => readonly string[] | undefined;
  /** Returns the gateway in front of a device; '': none, or the registry does not know the device. */
  readonly gatewayOf: (device: string) => string;
  /** Returns whether a command of a device needs the confirmation of a second person. */
  readonly isMarked: (device: string, command: string) => boolean;
}

/** What a plan of the scene needs to know of the registry. */
export interface PlanTargets {
  readonly devices: readonly string[];
  readonly patterns: readonly string[];
  readonly groups: readonly string[];
}

/** Returns the targets of a scene and of the scenes that it runs. Throws as `assertNoCycle` does. */
export function planTargets(id: string, scenes: ReadonlyMap<string, Scene>): PlanTargets {
  assertNoCycle(id, scenes);
  const devices = new Set<string>();
  const patterns = new Set<string>();
  const groups = new Set<string>();
  const visited = new Set<string>();
  const visitScene = (scene: string) => {
    if (visited.has(scene)) return;
    visited.add(scene);
    visit(scenes.get(scene)!.steps);
  };
  const visit = (steps: readonly SceneStep[]) => {
    for (const step of steps) {
      if (step.do === 'sequence' || step.do === 'parallel') visit(step.steps);
      if (step.do === 'scene') visitScene(step.scene);
      if (step.do !== 'command') continue;
      if (step.group !== undefined) groups.add(step.group);
      if (step.device !== undefined) (isSubtree(step.device) ? patterns : devices).add(step.device);
    }
  };
  visitScene(id);
  return { devices: [...devices], patterns: [...patterns], groups: [...groups] };
}

/**
 * Returns the plan of a run of a scene with these values. Throws `not_found` for a scene or group that does not exist,
 * `invalid_message` for values, a circle of scenes, and targets without a device, and `limit_reached` for more than
 * 500 steps.
 */
export function planScene(id: string, given: SceneValues, context: PlanContext): ScenePlan {
  const scene = context.scenes.get(id);
  if (scene === undefined) throw new TailraceError('not_found', `scene: expected an existing one, got ${shown(id)}`);
  assertNoCycle(id, context.scenes);
  const values = sceneValues(scene, given);
  const planner = new Planner(scene, context);
  const root = planner.plan(scene, values, '');
  const { steps, needsConfirmation } = planner;
  return { scene: id, version: scene.version, values, steps, root, needsConfirmation };
}

class Planner {
  readonly steps: PlannedStep[] = [];
  needsConfirmation = false;
  readonly #scene: Scene;
  readonly #context: PlanContext;

  constructor(scene: Scene, context: PlanContext) {
    this.#scene = scene;
    this.#context = context;
  }

  /** `prefix`: of the keys of its steps. */
  plan(scene: Scene, values: SceneValues, prefix: string): PlanNode {
    if (scene.confirmation === 'second_person') this.needsConfirmation = true;
    return group(scene.order, this.#nodes(scene.steps, values, prefix));
  }

  #nodes(steps: readonly SceneStep[], values: SceneValues, prefix: string): PlanNode[] {
    return steps.map((step, n) => this.#node(step, values, `${prefix}${n + 1}`));
  }

  #node(step: SceneStep, values: SceneValues, key: string): PlanNode {
    switch (step.do) {
      case 'wait':
        return this.#add({ kind: 'wait', key, ms: step.ms });
      case 'command':
        return this.#commands(step, values, key);
      case 'scene': {
        const called = this.#context.scenes.get(step.scene)!;
        return this.plan(called, sceneValues(called, argumentsFrom(step.params, values)), `${key}.`);
      }
      default:
        return group(step.do, this.#nodes(step.steps, values, `${key}.`));
    }
  }

  #commands(step: CommandStep, values: SceneValues, key: string): PlanNode {
    const { command, timeoutMs, ifOffline, onFailure, compensation } = step;
    const devices = this.#devicesOf(step, key);
    const several = step.group !== undefined || isSubtree(step.device!);
    const common = { kind: 'command', command, timeoutMs, ifOffline, onFailure } as const;
    const params = argumentsFrom(step.params, values);
    const reverse =
      compensation === undefined
        ? {}
        : { compensation: { command: compensation.command, params: argumentsFrom(compensation.params, values) } };
    const nodes = devices.map((device) => {
      if (this.#context.isMarked(device, command)) this.needsConfirmation = true;
      const via = this.#context.gatewayOf(device);
      return this.#add({ ...common, key: several ? `${key} ${device}` : key, device, via, params, ...reverse });
    });
    return group('parallel', nodes);
  }

  #devicesOf({ device, group }: CommandStep, key: string): readonly string[] {
    if (group === undefined && !isSubtree(device!)) return [device!];
    const devices = group === undefined ? this.#context.devicesOf(device!) : this.#context.devicesOfGroup(group);
    const target = group === undefined ? `pattern ${shown(device)}` : `group ${shown(group)}`;
    const place = `scene ${shown(this.#scene.id)}, step ${key}: ${target}`;
    if (devices === undefined) throw new TailraceError('not_found', `${place} does not exist`);
    if (devices.length === 0)
      throw new TailraceError('invalid_message', `${place}: expected at least one device of the registry, got none`);
    return devices;
  }

  #add(step: PlannedStep): PlanNode {
    if (this.steps.length >= sceneLimits.plannedStepsMax)
      throw new TailraceError(
        'limit_reached',
        `scene ${shown(this.#scene.id)}: expected at most ${sceneLimits.plannedStepsMax} steps in a run, got more`,
      );
    this.steps.push(step);
    return { step: this.steps.length - 1 };
  }
}

function group(order: 'sequence' | 'parallel', nodes: readonly PlanNode[]): PlanNode {
  if (nodes.length === 1) return nodes[0]!;
  return order === 'sequence' ? { sequence: nodes } : { parallel: nodes };
}

function argumentsFrom(
  params: Readonly<Record<string, SceneArgument>>,
  values: SceneValues,
): Readonly<Record<string, CommandValue>> {
  return Object.fromEntries(
    Object.entries(params).map(([name, value]) => [name, typeof value === 'object' ? values[value.parameter]! : value]),
  );
}
