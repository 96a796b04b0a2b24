import { createHash, randomUUID } from 'node:crypto';
import type { Queryable, Transaction } from '@tailrace/database/database';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { tenantOf } from '@tailrace/protocol/path';
import { type ActContext, act, orRefused } from '../control-context.ts';
import { actsAbout } from '../journal.ts';
import { activePaths, findGroup } from '../registry/device-store.ts';
import { assertMayCommand, assertRole, mayCommand, type Requester } from '../requester.ts';
import { assertVersion, isOwn, ownOf } from '../stored-by-id.ts';
import { type PlanContext, planScene, planTargets, type ScenePlan } from './plan.ts';
import { undoPlan } from './restoration.ts';
import {
  assertNoCycle,
  assertScene,
  type CommandStep,
  calledScenes,
  type Scene,
  type SceneFields,
  type SceneValues,
  sceneLimits,
} from './scene.ts';
import { advance, isRunFinal, type SceneRun } from './scene-run.ts';
import {
  callersOf,
  countActiveRuns,
  countScenes,
  deleteScene,
  failRun,
  findRun,
  findRunByKey,
  findScenes,
  insertRun,
  isUndone,
  lastVersion,
  listRuns,
  listScenes,
  lockRun,
  lockScenes,
  type NewRun,
  type RunFilter,
  runChannel,
  type StoredRun,
  type StoredScene,
  storeApprover,
  storeRuns,
  storeScene,
} from './scene-store.ts';

/** Active runs of an installation. */
export const activeRunsMax = 1_000;

export interface ScenesOptions {
  readonly context: ActContext;
  /** Returns whether a command needs the confirmation of a second person. */
  readonly isMarked: PlanContext['isMarked'];
}

export interface RunRequest {
  readonly scene: string;
  readonly params: SceneValues;
  /** Fencing token of the lease that the requester holds; 0: none. */
  readonly lease: number;
  /** Of the requester: the same key is the same run. Undefined: each request is a new one. */
  readonly key?: string | undefined;
}

/** Returns how the keys of runs start that a person has requested. */
export function keyPrefixOf({ subject }: Pick<Requester, 'subject'>): string {
  return `api/${subject}/`;
}

/** Scenes and their runs: what people request. `SceneRunner` works on the runs. */
export class Scenes {
  readonly #options: ScenesOptions;

  constructor(options: ScenesOptions) {
    this.#options = options;
  }

  async list({ tenant }: Requester): Promise<readonly StoredScene[]> {
    return await listScenes(this.#options.context.database, tenant);
  }

  /** Rejects with `not_found`, also for a scene of another tenant. */
  async scene(
    requester: Requester,
    id: string,
    queryable: Queryable = this.#options.context.database,
  ): Promise<StoredScene> {
    const [scene] = await findScenes(queryable, [id]);
    return ownOf(requester, 'scene', id, scene);
  }

  /**
   * Creates or changes a scene. Rejects with `forbidden` for devices that the requester may not command,
   * `invalid_message` for a circle of scenes or an undeclared parameter, `not_found` for a scene that it runs and that
   * does not exist, and `conflict` for another version than `version`.
   */
  async store(requester: Requester, id: string, fields: SceneFields, version?: number): Promise<StoredScene> {
    assertRole(requester, 'engineer');
    assertTargetsOfTenant(requester, fields);
    const { context } = this.#options;
    return await act(context, async (transaction) => {
      await lockScenes(transaction);
      const [before] = await findScenes(transaction, [id]);
      if (before !== undefined && !isOwn(requester, before))
        throw new TailraceError('conflict', `scene: expected an ID that is free, got ${shown(id)}`);
      assertVersion('scene', id, version, before?.version);
      if (before === undefined && (await countScenes(transaction)) >= sceneLimits.scenesMax)
        throw new TailraceError('limit_reached', `scenes: expected at most ${sceneLimits.scenesMax}, got one more`);
      const nowMs = context.clock.now();
      const scene: StoredScene = {
        ...fields,
        id,
        tenant: before?.tenant ?? requester.tenant,
        version: (await lastVersion(transaction, id)) + 1,
        changedBy: requester.subject,
        changedMs: nowMs,
      };
      assertScene(scene);
      const scenes = new Map((await withCalled(transaction, requester, [scene])).map((each) => [each.id, each]));
      assertNoCycle(id, scenes);
      // A scene that it runs has the rights of the same person.
      for (const each of scenes.values()) await assertMayCommandTargets(transaction, requester, each);
      await storeScene(transaction, scene);
      const sha256 = createHash('sha256').update(JSON.stringify(fields)).digest('hex');
      const details = { version: scene.version, name: fields.name, sha256 };
      const action = before === undefined ? 'scene.created' : 'scene.changed';
      return { result: scene, acts: [sceneAct(requester, nowMs, action, id, details)] };
    });
  }

  /** Rejects with `conflict` if other scenes run it. */
  async delete(requester: Requester, id: string): Promise<void> {
    assertRole(requester, 'engineer');
    const { context } = this.#options;
    await act(context, async (transaction) => {
      await lockScenes(transaction);
      const { version } = await this.scene(requester, id, transaction);
      const callers = await callersOf(transaction, id);
      if (callers.length > 0)
        throw new TailraceError(
          'conflict',
          `scene ${id}: expected one that no scene runs, got one that runs in ${callers.slice(0, 5).join(', ')}`,
        );
      await deleteScene(transaction, id);
      return {
        result: undefined,
        acts: [sceneAct(requester, context.clock.now(), 'scene.deleted', id, { version })],
      };
    });
  }

  /**
   * Resolves with the plan of a run, by the present scenes and registry. Rejects as `planScene` does, and with
   * `forbidden` for devices that the requester may not command.
   */
  async plan(requester: Requester, id: string, params: SceneValues, queryable?: Queryable): Promise<ScenePlan> {
    const database = queryable ?? this.#options.context.database;
    const scene = await this.scene(requester, id, database);
    const scenes = new Map((await withCalled(database, requester, [scene])).map((each) => [each.id, each]));
    const context = await planContext(database, requester, id, scenes, this.#options.isMarked);
    const plan = planScene(id, params, context);
    assertMayRun(requester, plan);
    return plan;
  }

  /**
   * Starts a run, durably. Resolves with it; with the run that has the requester's key already, in whichever state it
   * is. Rejects as `plan` does, with `conflict` for a key of another request, and with `limit_reached`.
   */
  async run(requester: Requester, request: RunRequest): Promise<StoredRun> {
    const { context } = this.#options;
    const target = `scene/${request.scene}`;
    const refused = { action: 'scene.refused', target, details: { params: request.params } };
    return await orRefused(context, requester, refused, async () => {
      const key = request.key === undefined ? undefined : keyPrefixOf(requester) + request.key;
      const known = key === undefined ? undefined : await findRunByKey(context.database, key);
      if (known !== undefined) return sameRun(known, request);
      const plan = await this.plan(requester, request.scene, request.params);
      return await this.#start(requester, {
        ...{ scene: request.scene, cause: 'api', params: plan.values, lease: request.lease, plan, key },
      });
    });
  }

  /**
   * Starts a run that restores what another one has changed. Resolves with it, and with the steps that it cannot
   * restore. Rejects with `conflict` for a run that is active, was undone, or has nothing that can be.
   */
  async undo(
    requester: Requester,
    idOrKey: string,
    lease: number,
  ): Promise<{ readonly run: StoredRun; readonly notReversed: SceneRun['notReversed'] }> {
    const { context } = this.#options;
    const original = await this.findRun(requester, idOrKey);
    const { id } = original;
    const target = `scene/${original.scene}`;
    const refused = { action: 'scene.refused', target, details: { run: id, requested: 'undo' } };
    return await orRefused(context, requester, refused, async () => {
      const state = sceneRunOf(original);
      if (state === undefined || !isRunFinal(state.state))
        throw new TailraceError(
          'conflict',
          `scene run: expected one that has finished, got one that is ${original.state}`,
        );
      const { plan, notReversed } = undoPlan(state);
      assertMayRun(requester, plan);
      const run = await this.#start(
        requester,
        { scene: original.scene, cause: 'undo', params: plan.values, lease, plan, undoOf: id },
        async (transaction) => {
          // Of two persons that undo it at once, one does.
          await lockRun(transaction, id);
          if (await isUndone(transaction, id))
            throw new TailraceError('conflict', 'scene run: expected one that was not undone, got one that was');
        },
      );
      return { run, notReversed };
    });
  }

  /** Confirms a run as the second person, or cancels it. Resolves with the run. */
  async decide(requester: Requester, idOrKey: string, kind: 'confirm' | 'cancel'): Promise<StoredRun> {
    const { context } = this.#options;
    const { id, scene } = await this.findRun(requester, idOrKey);
    const refused = { action: 'scene.refused', target: `scene/${scene}`, details: { run: id, requested: kind } };
    await orRefused(context, requester, refused, async () => {
      if (kind === 'confirm') assertRole(requester, 'supervisor');
      await act(context, async (transaction) => {
        const stored = (await lockRun(transaction, id))!;
        const nowMs = context.clock.now();
        const run = sceneRunOf(stored);
        if (run !== undefined) assertMayRun(requester, run.plan);
        if (stored.state !== 'preparing' && (run === undefined || isRunFinal(run.state)))
          throw new TailraceError('conflict', `scene run: expected an active one, got one that is ${stored.state}`);
        if (kind === 'cancel') await cancelStoredRun(transaction, stored, requester.subject, nowMs);
        else await confirmStoredRun(transaction, stored, requester, nowMs);
        const action = kind === 'confirm' ? 'scene.run_confirmed' : 'scene.run_canceled';
        return { result: undefined, acts: [sceneAct(requester, nowMs, action, scene, { run: id })] };
      });
    });
    return (await findRun(context.database, id))!;
  }

  /** By its ID, or the requester's own key. Rejects with `not_found`, also for one of another tenant. */
  async findRun(requester: Requester, id: string): Promise<StoredRun> {
    const { database } = this.#options.context;
    const run = (await findRun(database, id)) ?? (await findRunByKey(database, keyPrefixOf(requester) + id));
    if (run !== undefined && isOwn(requester, run)) return run;
    throw new TailraceError('not_found', `scene run: expected the ID of one, got ${shown(id)}`);
  }

  async runs({ tenant }: Requester, filter: Omit<RunFilter, 'tenant'>): Promise<readonly StoredRun[]> {
    return await listRuns(this.#options.context.database, { ...filter, tenant });
  }

  async #start(
    requester: Requester,
    run: Pick<NewRun, 'scene' | 'cause' | 'params' | 'lease' | 'plan' | 'undoOf' | 'key'>,
    check?: (transaction: Queryable) => Promise<void>,
  ): Promise<StoredRun> {
    const { context } = this.#options;
    const { key } = run;
    const id = newRunId();
    await act(context, async (transaction) => {
      await check?.(transaction);
      await assertRunsBelowLimit(transaction);
      const nowMs = context.clock.now();
      const isNew = await insertRun(transaction, { ...run, id, tenant: requester.tenant, requester, createdMs: nowMs });
      if (!isNew) return { result: undefined, acts: [] };
      const details = {
        run: id,
        cause: run.cause,
        params: run.params,
        ...(run.undoOf == null ? {} : { undoOf: run.undoOf }),
      };
      return { result: undefined, acts: [sceneAct(requester, nowMs, 'scene.run_started', run.scene, details)] };
    });
    // The same request has come twice at once: the other one has started it.
    return (await findRun(context.database, id)) ?? (await findRunByKey(context.database, key ?? ''))!;
  }
}

/** Returns a run, if the request is the one that has started it. */
function sameRun(run: StoredRun, { scene, params, key }: RunRequest): StoredRun {
  const isSame = run.scene === scene && Object.entries(params).every(([name, value]) => run.params[name] === value);
  if (isSame) return run;
  throw new TailraceError('conflict', `id: expected a new one, got ${shown(key)}, which another run has`);
}

/** IDs of runs cannot be guessed: the keys of their commands follow from them. */
export function newRunId(): string {
  return randomUUID().replaceAll('-', '');
}

export async function assertRunsBelowLimit(queryable: Queryable): Promise<void> {
  if ((await countActiveRuns(queryable, activeRunsMax)) < activeRunsMax) return;
  throw new TailraceError('limit_reached', `active scene runs: expected at most ${activeRunsMax}, got one more`, {
    retryable: true,
  });
}

/** Returns the audit entry about a scene. */
export const sceneAct = actsAbout('scene');

/** Returns the state of a run; undefined: it has no plan or no snapshot yet, or has failed without. */
export function sceneRunOf({ id, plan, snapshot, state, requester, progress }: StoredRun): SceneRun | undefined {
  if (plan === null || snapshot === null || progress === null || state === 'preparing') return undefined;
  return { id, plan, snapshot, state, by: requester.subject, ...progress };
}

/**
 * Cancels an active run, locked. What is canceled of its commands follows from its state: the runner does it. A run
 * without a plan has failed then.
 */
export async function cancelStoredRun(
  transaction: Transaction,
  stored: StoredRun,
  by: string,
  nowMs: number,
): Promise<void> {
  const run = sceneRunOf(stored);
  if (run === undefined) {
    await failRun(transaction, stored.id, { code: 'canceled', message: `canceled by ${by}` }, nowMs);
    return;
  }
  const { run: canceled } = advance(run, { kind: 'cancel', by }, nowMs);
  await storeRuns(transaction, [{ run: canceled, isFinal: isRunFinal(canceled.state), nowMs, dueMs: 0 }]);
  await transaction.notify(runChannel, stored.id);
}

async function confirmStoredRun(
  transaction: Transaction,
  stored: StoredRun,
  approver: Requester,
  nowMs: number,
): Promise<void> {
  const run = sceneRunOf(stored);
  if (run === undefined)
    throw new TailraceError('conflict', 'scene run: expected one that is confirming, got one that is preparing');
  const { run: confirmed } = advance(run, { kind: 'confirm', by: approver.subject }, nowMs);
  await storeApprover(transaction, stored.id, approver);
  await storeRuns(transaction, [{ run: confirmed, isFinal: false, nowMs, dueMs: 0 }]);
  await transaction.notify(runChannel, stored.id);
}

/** Resolves with scenes and those that they run, by way of others too. Throws `not_found` for one of another tenant. */
async function withCalled(
  queryable: Queryable,
  requester: Requester,
  scenes: readonly StoredScene[],
): Promise<readonly Scene[]> {
  const found = new Map(scenes.map((scene) => [scene.id, scene]));
  let open = [...scenes];
  // A deeper row of scenes is refused by `assertNoCycle`.
  for (let depth = 0; open.length > 0 && depth <= sceneLimits.depthMax; depth++) {
    const called = [...new Set(open.flatMap(calledScenes))].filter((id) => !found.has(id));
    open = (await findScenes(queryable, called)).filter((scene) => isOwn(requester, scene));
    for (const scene of open) found.set(scene.id, scene);
  }
  return [...found.values()];
}

async function planContext(
  queryable: Queryable,
  requester: Requester,
  id: string,
  scenes: ReadonlyMap<string, Scene>,
  isMarked: PlanContext['isMarked'],
): Promise<PlanContext> {
  const targets = planTargets(id, scenes);
  const limit = sceneLimits.plannedStepsMax + 1;
  const ofPattern = new Map<string, readonly string[]>();
  for (const pattern of targets.patterns)
    ofPattern.set(pattern, await activePaths(queryable, { patterns: [pattern], kind: '', labels: {} }, limit));
  const ofGroup = new Map<string, readonly string[]>();
  for (const group of targets.groups) {
    const found = await findGroup(queryable, group);
    // That of another tenant does not exist for this one: a refusal would name its devices.
    if (found !== undefined && isOwn(requester, found)) ofGroup.set(group, await activePaths(queryable, found, limit));
  }
  const devices = new Set([...targets.devices, ...[...ofPattern.values(), ...ofGroup.values()].flat()]);
  const { rows } = await queryable.query<{ path: string; gateway: string }>(
    `SELECT path, gateway FROM registry_devices WHERE path = ANY ($1::text[]) AND gateway <> ''`,
    [[...devices]],
  );
  const gateways = new Map(rows.map(({ path, gateway }) => [path, gateway]));
  return {
    scenes,
    devicesOf: (pattern) => ofPattern.get(pattern) ?? [],
    devicesOfGroup: (group) => ofGroup.get(group),
    gatewayOf: (device) => gateways.get(device) ?? '',
    isMarked,
  };
}

/** Throws `forbidden`, with the devices of a plan that the requester may not command. */
function assertMayRun(requester: Requester, { steps, scene }: ScenePlan): void {
  const devices = steps.flatMap((step) => (step.kind === 'command' ? [step.device] : []));
  const forbidden = [...new Set(devices)].filter((device) => !mayCommand(requester, device));
  if (forbidden.length === 0) return;
  if (forbidden.length === 1) assertMayCommand(requester, forbidden[0]!);
  throw new TailraceError(
    'forbidden',
    `scene ${scene}: expected a token that may command all of its devices, got ${shown(requester.command)}, which lacks ` +
      `${forbidden.length} of them: ${forbidden.slice(0, 10).join(', ')}`,
  );
}

/** Throws `forbidden` for a device that is not of the requester's tenant. */
function assertTargetsOfTenant({ tenant }: Requester, { steps }: SceneFields): void {
  if (tenant === '') return;
  const other = commandSteps(steps).find(({ device }) => device !== undefined && tenantOf(device) !== tenant)?.device;
  if (other !== undefined)
    throw new TailraceError('forbidden', `expected devices of the tenant ${shown(tenant)}, got ${shown(other)}`);
}

/**
 * Throws `forbidden` for targets that the requester may not command. A schedule or a trigger of another person runs the
 * scene with the rights of that person: who changes the scene must not gain them.
 */
async function assertMayCommandTargets(
  queryable: Queryable,
  requester: Requester,
  { steps }: SceneFields,
): Promise<void> {
  for (const { device, group } of commandSteps(steps)) {
    if (device !== undefined) assertMayCommand(requester, device);
    const found = group === undefined ? undefined : await findGroup(queryable, group);
    // One that does not exist for the requester is refused by the plan of a run.
    if (found === undefined || !isOwn(requester, found)) continue;
    for (const pattern of found.patterns) assertMayCommand(requester, pattern);
  }
}

/** Returns the commands of steps, at all levels. */
function commandSteps(steps: SceneFields['steps']): readonly CommandStep[] {
  return steps.flatMap((step) => {
    if (step.do === 'sequence' || step.do === 'parallel') return commandSteps([...step.steps]);
    return step.do === 'command' ? [step] : [];
  });
}
