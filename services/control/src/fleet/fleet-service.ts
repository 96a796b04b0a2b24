import type { Queryable, Transaction } from '@tailrace/database/database';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { act, type ControlContext, orRefused } from '../control-context.ts';
import { type Act, actsAbout } from '../journal.ts';
import { activePaths, findGroup } from '../registry/device-store.ts';
import { assertMayCommand, assertRole, mayCommand, maySee, type Requester, type Role } from '../requester.ts';
import { isOwn, ownOf } from '../stored-by-id.ts';
import { type FleetCounts, type FleetState, fleetLimits, scopeOf } from './fleet-command.ts';
import { assertFleetRequest, contentOf, type FleetRequest, orderedDevices, storedRequestOf } from './fleet-request.ts';
import {
  countOpenFleets,
  type FleetChange,
  type FleetDevice,
  type FleetDeviceRow,
  findFleet,
  findFleetByKey,
  fleetCounts,
  gatewaysOf,
  insertFleet,
  listFleetDevices,
  listFleets,
  lockFleet,
  type StoredFleet,
  skipPending,
  storeFleetChange,
  storePerson,
} from './fleet-store.ts';

export interface FleetServiceOptions {
  readonly context: ControlContext;
  readonly isMarked: (device: string, name: string) => boolean;
  /** Devices of one fleet command. */
  readonly devicesMax: number;
  /** Called after a fleet command has something to do. */
  readonly onDue: () => void;
}

/** What a request would start. */
export interface FleetPlan {
  readonly devices: readonly FleetDevice[];
  readonly scope: string;
  readonly isMarked: boolean;
}

/** A fleet command with the states of its devices. */
export interface FleetProgress {
  readonly fleet: StoredFleet;
  readonly counts: FleetCounts;
}

/** Devices that an error names. */
const namedMax = 10;

export type FleetDecision = 'pause' | 'resume' | 'cancel' | 'confirm';

/** What people do with fleet commands: start, pause, resume, cancel, confirm, read. */
export class FleetService {
  readonly #options: FleetServiceOptions;

  constructor(options: FleetServiceOptions) {
    this.#options = options;
  }

  /**
   * Resolves with what a request would start. Rejects with `forbidden` without the role `engineer` and the right to all
   * devices, `limit_reached` for too many devices, `not_found` for an unknown group, and `invalid_message`, also for no
   * device.
   */
  async plan(requester: Requester, request: FleetRequest): Promise<FleetPlan> {
    assertFleetRequest(request);
    assertRole(requester, 'engineer');
    const { database } = this.#options.context;
    const selected = await this.#selected(requester, request);
    const forbidden = selected.filter((device) => !mayCommand(requester, device));
    if (forbidden.length > 0)
      throw new TailraceError(
        'forbidden',
        `expected a token that may command all ${selected.length} devices, got ${shown(requester.command)}, which lacks ` +
          `${forbidden.length} of them: ${forbidden.slice(0, namedMax).join(', ')}`,
      );
    const ordered = orderedDevices(selected, request.order, request.id);
    const gateways = await gatewaysOf(database, ordered);
    for (const gateway of new Set(gateways.values())) assertMayCommand(requester, gateway);
    const devices = ordered.map((device, index) => ({ place: index + 1, device, via: gateways.get(device) ?? '' }));
    const isMarked = ordered.some((device) => this.#options.isMarked(device, request.name));
    return { devices, scope: request.pattern ?? scopeOf(ordered), isMarked };
  }

  /**
   * Starts a fleet command, durably. Resolves with it; with the one that has the sender's key already, in whichever
   * state. Rejects as `plan` does, and with `conflict` for the key of another one.
   */
  async start(requester: Requester, request: FleetRequest): Promise<FleetProgress> {
    const { context, onDue } = this.#options;
    const target = request.pattern ?? (request.group === undefined ? 'devices' : `group/${request.group}`);
    const refused = { action: 'fleet.refused', target, details: { key: request.id, name: request.name } };
    return await orRefused(context, requester, refused, async () => {
      const content = contentOf(request);
      const known = await this.#known(context.database, requester, request.id, content);
      if (known !== undefined) return known;
      const { devices, scope, isMarked } = await this.plan(requester, request);
      const id = context.uniqueId();
      const state: FleetState = isMarked ? 'confirming' : 'running';
      await act(context, async (transaction) => {
        const nowMs = context.clock.now();
        if ((await countOpenFleets(transaction)) >= fleetLimits.openMax)
          throw new TailraceError(
            'limit_reached',
            `open fleet commands: expected at most ${fleetLimits.openMax}, got one more`,
            { retryable: true },
          );
        const { subject: sender, tenant } = requester;
        const times = { createdMs: nowMs, changedMs: nowMs };
        const fleet = {
          ...{ id, sender, key: request.id, content, tenant, scope, request: storedRequestOf(request) },
          // Thousands of commands are no trace that a person can read.
          ...{ requester: { ...requester, traceparent: '' }, isMarked, devices: devices.length, state, isFinal: false },
          ...times,
        };
        const isNew = await insertFleet(transaction, fleet, devices, nowMs);
        const first = devices.slice(0, namedMax).map(({ device }) => device);
        const { name, params, rate, stop } = request;
        const details = { key: request.id, scope, devices: devices.length, first, name, params, rate, stop, isMarked };
        return { result: undefined, acts: isNew ? [fleetAct(requester, nowMs, 'fleet.started', id, details)] : [] };
      });
      onDue();
      const started = await findFleet(context.database, id);
      // The same request has come twice at once: the other one has started it.
      return started === undefined
        ? (await this.#known(context.database, requester, request.id, content))!
        : await this.#progressOf(started);
    });
  }

  /**
   * Pauses, resumes, cancels or confirms a fleet command. After the answer to a pause or a cancellation no further
   * device gets its command. Rejects with `conflict` for one that is in a state without this decision, and `forbidden`.
   */
  async decide(requester: Requester, idOrKey: string, decision: FleetDecision): Promise<FleetProgress> {
    const { context, onDue } = this.#options;
    const { id, scope } = (await this.find(requester, idOrKey)).fleet;
    const refused = { action: 'fleet.refused', target: `fleet/${id}`, details: { requested: decision } };
    await orRefused(context, requester, refused, async () => {
      assertRole(requester, ...decisions[decision].roles);
      await act(context, async (transaction) => {
        const fleet = (await lockFleet(transaction, id))!;
        if (fleet.sender !== requester.subject) assertMayCommand(requester, scope);
        return await applyDecision(transaction, requester, fleet, decision, context.clock.now());
      });
    });
    onDue();
    return await this.find(requester, id);
  }

  /** By its ID, or the sender's own key. Rejects with `not_found`, also for devices that the requester may not see. */
  async find(requester: Requester, id: string): Promise<FleetProgress> {
    const { database } = this.#options.context;
    const fleet = (await findFleet(database, id)) ?? (await findFleetByKey(database, requester.subject, id));
    if (fleet !== undefined && isVisible(requester, fleet)) return await this.#progressOf(fleet);
    throw new TailraceError('not_found', `fleet command: expected the ID of one, got ${shown(id)}`);
  }

  /** Resolves with the fleet commands of a page that the requester may see, and the position of its last one. */
  async list(
    requester: Requester,
    filter: { readonly isOpen?: boolean | undefined; readonly before?: number | undefined; readonly limit: number },
  ): Promise<{ readonly fleets: readonly FleetProgress[]; readonly last: number | undefined }> {
    const { database } = this.#options.context;
    const page = await listFleets(database, { ...filter, tenant: requester.tenant });
    const visible = page.filter((fleet) => isVisible(requester, fleet));
    const counts = await fleetCounts(
      database,
      visible.map(({ id }) => id),
    );
    const last = page.length === filter.limit ? page.at(-1)!.position : undefined;
    return { fleets: visible.map((fleet) => ({ fleet, counts: counts.get(fleet.id)! })), last };
  }

  async devices(
    requester: Requester,
    id: string,
    filter: Parameters<typeof listFleetDevices>[2],
  ): Promise<readonly FleetDeviceRow[]> {
    const { fleet } = await this.find(requester, id);
    return await listFleetDevices(this.#options.context.database, fleet.id, filter);
  }

  async #selected(requester: Requester, request: FleetRequest): Promise<readonly string[]> {
    const { context, devicesMax } = this.#options;
    const { pattern, group, devices } = request;
    const limit = Math.min(request.devicesMax ?? devicesMax, devicesMax);
    let found: readonly string[];
    if (devices !== undefined) found = [...new Set(devices)];
    else if (pattern !== undefined) {
      // Before its devices are read: a pattern without right names none.
      assertMayCommand(requester, pattern);
      found = await activePaths(context.database, { patterns: [pattern], kind: '', labels: {} }, limit + 1);
    } else {
      const fields = ownOf(requester, 'group', group!, await findGroup(context.database, group!));
      found = await activePaths(context.database, fields, limit + 1);
    }
    if (found.length > limit)
      throw new TailraceError(
        'limit_reached',
        `devices: expected at most ${limit} of one fleet command, got ${devices === undefined ? 'more' : found.length}`,
      );
    if (found.length > 0) return found;
    const what = pattern ?? `group ${group}`;
    throw new TailraceError('invalid_message', `devices: expected at least one active device, got none of ${what}`);
  }

  async #known(
    queryable: Queryable,
    { subject }: Requester,
    key: string,
    content: string,
  ): Promise<FleetProgress | undefined> {
    const known = await findFleetByKey(queryable, subject, key);
    if (known === undefined) return undefined;
    if (known.content === content) return await this.#progressOf(known);
    throw new TailraceError('conflict', `id: expected a new one, got ${shown(key)}, which another fleet command has`);
  }

  async #progressOf(fleet: StoredFleet): Promise<FleetProgress> {
    const counts = await fleetCounts(this.#options.context.database, [fleet.id]);
    return { fleet, counts: counts.get(fleet.id)! };
  }
}

/** Who may decide what, and in which states. */
const decisions: Readonly<
  Record<
    FleetDecision,
    {
      readonly roles: readonly Role[];
      readonly from: readonly FleetState[];
      readonly to: FleetState;
      readonly action: string;
    }
  >
> = {
  pause: { roles: ['engineer', 'supervisor'], from: ['running'], to: 'paused', action: 'fleet.paused' },
  resume: { roles: ['engineer'], from: ['paused'], to: 'running', action: 'fleet.resumed' },
  cancel: {
    ...{ roles: ['engineer', 'supervisor'], to: 'canceled', action: 'fleet.canceled' },
    from: ['confirming', 'running', 'paused'],
  },
  confirm: { roles: ['supervisor'], from: ['confirming'], to: 'running', action: 'fleet.confirmed' },
};

/** Applies a decision to a locked fleet command. A repeated one changes nothing. */
async function applyDecision(
  transaction: Transaction,
  requester: Requester,
  fleet: StoredFleet,
  decision: FleetDecision,
  nowMs: number,
): Promise<{ readonly result: undefined; readonly acts: readonly Act[] }> {
  const { from, to, action } = decisions[decision];
  const { id, state, sender } = fleet;
  if (state === to && decision !== 'confirm') return { result: undefined, acts: [] };
  if (!from.includes(state))
    throw new TailraceError('conflict', `fleet command: expected one that is ${from.join(' or ')}, got ${state}`);
  if (decision === 'confirm' && sender === requester.subject)
    throw new TailraceError('forbidden', 'confirmation: expected a second person, got the sender');
  if (decision === 'confirm') await storePerson(transaction, id, 'approver', requester);
  const message = decision === 'cancel' ? `canceled by ${requester.subject}` : '';
  if (decision === 'cancel') {
    await storePerson(transaction, id, 'canceler', requester);
    await skipPending(transaction, id, nowMs);
  }
  const change: FleetChange = { state: to, isFinal: false, message };
  await storeFleetChange(transaction, fleet, change, nowMs);
  return { result: undefined, acts: [fleetAct(requester, nowMs, action, id, {})] };
}

/** Returns the audit entry about a fleet command. */
export const fleetAct = actsAbout('fleet');

function isVisible(requester: Requester, { tenant, sender, scope }: StoredFleet): boolean {
  return isOwn(requester, { tenant }) && (sender === requester.subject || maySee(requester, scope));
}
