import { createHash, randomUUID } from 'node:crypto';
import type { Transaction } from '@tailrace/database/database';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { assertDevicePath, tenantOf } from '@tailrace/protocol/path';
import { controlItself, entryOf } from '../audit/audit-entry.ts';
import { type ActContext, act } from '../control-context.ts';
import type { Act } from '../journal.ts';
import { assertMayCommand, assertMaySee, assertRole, maySee, type Requester } from '../requester.ts';
import { assertVersion, lockId, ownOf } from '../stored-by-id.ts';
import { revokeAllOf } from './credential-store.ts';
import {
  type DeviceFields,
  type DevicePatch,
  type DeviceSearch,
  deviceFieldsSchema,
  fieldsOf,
  type GroupFields,
  patched,
  type RegistryDevice,
  registryLimits,
} from './device.ts';
import { type CsvLineError, csvLimits, type ImportChange, mergeImported, readDeviceCsv } from './device-csv.ts';
import { appendDeviceRecords, type DeviceChange } from './device-records.ts';
import {
  addFormerPath,
  countDevices,
  deleteDevice,
  deleteGroup,
  findByFormerPath,
  findDevice,
  findGroup,
  type Group,
  insertDevices,
  listGroups,
  lockDevice,
  lockDevices,
  noteReports,
  type SeenDevice,
  type StoredDevice,
  searchDevices,
  storeGroup,
  updateDevices,
} from './device-store.ts';
import { forbiddenGroupJoins } from './group-rights.ts';

/** How much newer a last report is than the stored one, at least, to be stored: presence is known by fanout, ms. */
const lastReportStepMs = 600_000;
/** Devices in one statement. */
const batchDevices = 1_000;
/** Devices of one file in a store with one connection, as the embedded one: all other requests wait for the import. */
const oneConnectionDevicesMax = 10_000;

export interface DevicePage {
  readonly devices: readonly RegistryDevice[];
  /** The `after` of the next page; undefined: this is the last one. */
  readonly next?: string;
}

export interface ImportReport {
  readonly dryRun: boolean;
  readonly lines: number;
  /** Number of devices by what the import does, or would do. */
  readonly changes: Readonly<Record<ImportChange, number>>;
  /** Nothing is imported if there are any. */
  readonly errorCount: number;
  readonly errors: readonly CsvLineError[];
}

/** The registry of devices: what people request, and what reports show. */
export class Registry {
  readonly #context: ActContext;

  constructor(context: ActContext) {
    this.#context = context;
  }

  /** Resolves with a page of the devices that the requester may see. Rejects with `not_found` for an unknown group. */
  async search(requester: Requester, search: DeviceSearch): Promise<DevicePage> {
    const { database } = this.#context;
    const group = search.group === undefined ? undefined : await this.group(requester, search.group);
    const visible = [...requester.subscribe, ...requester.command];
    const found = await searchDevices(database, search, { visible, group });
    const devices = found.slice(0, search.limit);
    return found.length > search.limit ? { devices, next: devices.at(-1)!.path } : { devices };
  }

  /**
   * Resolves with the device of a path; if no device has it now, with the one that had it last. Rejects with
   * `not_found` and `forbidden`.
   */
  async device(requester: Requester, path: string): Promise<RegistryDevice> {
    assertDevicePath(path);
    assertMaySee(requester, path);
    const { database } = this.#context;
    const found = (await findDevice(database, path)) ?? (await findByFormerPath(database, path));
    if (found === undefined) throw unknownDevice(path);
    // The device of a former path may have left what they may see.
    assertMaySee(requester, found.path);
    return found;
  }

  /** Rejects with `conflict` if a device has the path. */
  async create(requester: Requester, path: string, fields: DeviceFields): Promise<RegistryDevice> {
    assertEngineer(requester, path);
    return await act(this.#context, async (transaction) => {
      await assertBelowLimit(transaction, 1);
      const device = this.#newDevice(path, fields, 'api');
      const inserted = await insertDevices(transaction, [device]);
      if (inserted.length === 0)
        throw new TailraceError('conflict', `device: expected a path that no device has, got ${shown(path)}`);
      await this.#record(transaction, requester, [{ path, before: undefined, after: device }]);
      return done({ ...device, formerPaths: [] }, [this.#act(requester, 'device.created', path, { source: 'api' })]);
    });
  }

  /** Changes what is known of a device. Rejects with `not_found`, and `conflict` for another version. */
  async change(requester: Requester, path: string, patch: DevicePatch): Promise<RegistryDevice> {
    assertEngineer(requester, path);
    return await act(this.#context, async (transaction) => {
      const before = await this.#locked(transaction, path);
      if (patch.version !== undefined && patch.version !== before.version)
        throw new TailraceError(
          'conflict',
          `device ${path}: expected the version ${patch.version}, got a device with ${before.version}`,
        );
      const parsed = deviceFieldsSchema.safeParse(patched(fieldsOf(before), patch));
      if (!parsed.success) {
        const { path: place, message } = parsed.error.issues[0]!;
        throw new TailraceError('invalid_message', `device ${path}: ${place.join('.')}: ${message}`);
      }
      const device = { ...before, ...parsed.data, version: before.version + 1 };
      await updateDevices(transaction, [device]);
      await this.#record(transaction, requester, [{ path, before, after: device }]);
      const fields = Object.keys(patch).filter((field) => field !== 'version');
      return done(device, [this.#act(requester, 'device.changed', path, { fields, version: device.version })]);
    });
  }

  /**
   * Renames a device. Its former path stays known, also where it is the gateway of others. A device that has the new
   * path only because of its reports, and that no person has changed, is the same device. Rejects with `not_found`, and
   * `conflict` if another device has the new path.
   */
  async rename(requester: Requester, path: string, to: string): Promise<RegistryDevice> {
    assertEngineer(requester, path);
    assertEngineer(requester, to);
    if (path === to) throw new TailraceError('invalid_message', `to: expected another path, got ${shown(to)}`);
    return await act(this.#context, async (transaction) => {
      // In the order of their paths, so that two renames do not wait for each other.
      const locked = await lockDevices(transaction, [path, to]);
      const device = locked.get(path);
      if (device === undefined) throw unknownDevice(path);
      const other = locked.get(to);
      if (other !== undefined && !isOnlyReported(other))
        throw new TailraceError('conflict', `to: expected a path that no device has, got ${shown(to)}`);
      if (other !== undefined) await deleteDevice(transaction, other.id);
      const nowMs = this.#context.clock.now();
      await addFormerPath(transaction, device, nowMs, registryLimits.renamesMax);
      const renamed = { ...device, path: to, pathFromMs: nowMs, version: device.version + 1 };
      await updateDevices(transaction, [renamed]);
      await transaction.query('UPDATE registry_devices SET gateway = $2 WHERE gateway = $1', [path, to]);
      if (other?.lastReportMs !== undefined)
        await noteReports(transaction, [{ path: to, receivedMs: other.lastReportMs }], 0);
      await this.#record(transaction, requester, [
        { path, before: device, after: undefined },
        { path: to, before: other, after: renamed },
      ]);
      const acts = [
        this.#act(requester, 'device.renamed', path, { to, merged: other !== undefined }),
        this.#act(requester, 'device.renamed', to, { from: path }),
      ];
      return done((await findDevice(transaction, to))!, acts);
    });
  }

  /**
   * Decommissions a device, or puts it back. It stays known, leaves patterns and groups of scenes, and its tokens are
   * revoked.
   */
  async setState(requester: Requester, path: string, state: RegistryDevice['state']): Promise<RegistryDevice> {
    assertEngineer(requester, path);
    return await act(this.#context, async (transaction) => {
      const before = await this.#locked(transaction, path);
      if (before.state === state) return done(before, []);
      const device = { ...before, state, version: before.version + 1 };
      await updateDevices(transaction, [device]);
      await this.#record(transaction, requester, [{ path, before, after: device }]);
      const action = state === 'active' ? 'device.recommissioned' : 'device.decommissioned';
      const change = this.#act(requester, action, path, { version: device.version });
      if (state === 'active') return done(device, [change]);
      const revocation = await revokeAllOf(transaction, path, this.#context.clock.now());
      return done(device, [{ ...change, records: [revocation] }]);
    });
  }

  /**
   * Imports devices from a file: all of them in one transaction, or none if a line is invalid. `dryRun`: reports what
   * it would do. Rejects with `invalid_message` for what is no such file, `too_large`, and `limit_reached`.
   */
  async import(requester: Requester, bytes: Uint8Array, dryRun: boolean): Promise<ImportReport> {
    assertRole(requester, 'engineer');
    const csv = await readDeviceCsv(bytes);
    const { connectionsMax } = this.#context.database.stats();
    if (connectionsMax === 1 && csv.devices.size > oneConnectionDevicesMax)
      throw new TailraceError(
        'too_large',
        `CSV: expected at most ${oneConnectionDevicesMax} devices for the embedded store, got ${csv.devices.size}: split the file`,
      );
    const errors = [...csv.errors];
    let { errorCount } = csv;
    const refuse = (error: CsvLineError) => {
      errorCount++;
      if (errors.length < csvLimits.errorsMax) errors.push(error);
    };
    for (const { path, line } of csv.devices.values())
      if (!maySee(requester, path))
        refuse({ line, column: 'path', message: `expected a device that the token may see, got ${shown(path)}` });
    return await act(this.#context, async (transaction) => {
      const changes = { create: 0, update: 0, unchanged: 0 };
      const imported = [...csv.devices.values()];
      for (let at = 0; at < imported.length; at += batchDevices) {
        const batch = imported.slice(at, at + batchDevices);
        const known = await lockDevices(
          transaction,
          batch.map(({ path }) => path),
        );
        const created: StoredDevice[] = [];
        const updated: StoredDevice[] = [];
        for (const each of batch) {
          const before = known.get(each.path);
          const { change, fields } = mergeImported(before, each);
          changes[change]++;
          if (before?.state === 'decommissioned' && change === 'update')
            refuse({ line: each.line, column: 'path', message: `expected an active device, got ${shown(each.path)}` });
          const reason = fieldsError(fields);
          if (reason !== undefined) refuse({ line: each.line, column: '', message: reason });
          if (change === 'create') created.push({ ...this.#newDevice(each.path, fields, 'import'), formerPaths: [] });
          if (change === 'update') updated.push({ ...before!, ...fields, version: before!.version + 1 });
        }
        const changed = [...created, ...updated].map((after) => ({
          ...{ path: after.path, before: known.get(after.path), after },
        }));
        for (const path of await forbiddenGroupJoins(transaction, requester, changed)) {
          const message = `expected a device that the token may command, as it comes into a group, got ${shown(path)}`;
          refuse({ line: csv.devices.get(path)!.line, column: 'path', message });
        }
        if (dryRun || errorCount > 0) continue;
        await assertBelowLimit(transaction, created.length);
        const inserted = new Set(await insertDevices(transaction, created));
        await updateDevices(transaction, updated);
        const isStored = ({ path }: DeviceChange) => known.has(path) || inserted.has(path);
        await this.#record(transaction, requester, changed.filter(isStored));
      }
      errors.sort((a, b) => a.line - b.line);
      const report = { dryRun, lines: csv.lines, changes, errorCount, errors };
      if (dryRun || errorCount > 0) return done(report, []);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      return done(report, [this.#act(requester, 'registry.imported', 'registry', { ...changes, sha256 })]);
    });
  }

  /**
   * Takes devices that have reported, at most 1,000: notes when, and creates those that no device is or was. Resolves
   * with the number of created devices. For control itself.
   */
  async takeReports(seen: readonly SeenDevice[]): Promise<number> {
    return await act(this.#context, async (transaction) => {
      const unknown = await noteReports(transaction, seen, lastReportStepMs);
      if (unknown.length === 0) return done(0, []);
      const free = registryLimits.devicesMax - (await countDevices(transaction, registryLimits.devicesMax));
      const received = new Map(seen.map(({ path, receivedMs }) => [path, receivedMs]));
      const devices = unknown.slice(0, Math.max(0, free)).map((path) => {
        const receivedMs = received.get(path)!;
        const reported = receivedMs === 0 ? {} : { firstReportMs: receivedMs, lastReportMs: receivedMs };
        return { ...this.#newDevice(path, deviceFieldsSchema.parse({}), 'report'), ...reported };
      });
      const inserted = await insertDevices(transaction, devices);
      if (inserted.length === 0) return done(0, []);
      const details = { source: 'report', count: inserted.length, first: inserted.slice(0, 20) };
      const entry = entryOf(controlItself, { ...this.#entry('device.created', 'registry'), details });
      return done(inserted.length, [{ key: 'registry', entry }]);
    });
  }

  /** Resolves with the groups that the requester may see. */
  async groups({ tenant }: Requester): Promise<readonly Group[]> {
    return await listGroups(this.#context.database, tenant);
  }

  /** Rejects with `not_found`, also for a group of another tenant. */
  async group(requester: Requester, id: string): Promise<Group> {
    return ownOf(requester, 'group', id, await findGroup(this.#context.database, id));
  }

  /**
   * Creates or changes a group. Rejects with `conflict` for another version than `basedOn`, and with `forbidden` for
   * devices that the requester may not command: scenes and fleet commands of other people command them.
   */
  async storeGroup(requester: Requester, id: string, fields: GroupFields, basedOn?: number): Promise<Group> {
    assertRole(requester, 'engineer');
    assertPatternsOfTenant(requester, fields.patterns);
    for (const pattern of fields.patterns) assertMayCommand(requester, pattern);
    return await act(this.#context, async (transaction) => {
      await lockId(transaction, 'group', id);
      const before = await findGroup(transaction, id);
      if (before !== undefined && requester.tenant !== '' && before.tenant !== requester.tenant)
        throw new TailraceError('conflict', `group: expected an ID that is free, got ${shown(id)}`);
      assertVersion('group', id, basedOn, before?.version);
      if (before === undefined && (await listGroups(transaction, '')).length >= registryLimits.groupsMax)
        throw new TailraceError('limit_reached', `groups: expected at most ${registryLimits.groupsMax}, got one more`);
      const version = (before?.version ?? 0) + 1;
      const group = { id, tenant: before?.tenant ?? requester.tenant, version, ...fields };
      await storeGroup(transaction, group);
      const action = before === undefined ? 'group.created' : 'group.changed';
      return done(group, [this.#act(requester, action, `group/${id}`, { version, fields })]);
    });
  }

  async deleteGroup(requester: Requester, id: string): Promise<void> {
    assertRole(requester, 'engineer');
    const { version } = await this.group(requester, id);
    await act(this.#context, async (transaction) => {
      await deleteGroup(transaction, id);
      return done(undefined, [this.#act(requester, 'group.deleted', `group/${id}`, { version })]);
    });
  }

  /**
   * Puts changed kinds and labels on their way to alarms. Rejects with `forbidden` for a device that comes into a group
   * by them, and that the requester may not command.
   */
  async #record(transaction: Transaction, requester: Requester, changes: readonly DeviceChange[]): Promise<void> {
    for (const path of await forbiddenGroupJoins(transaction, requester, changes)) assertMayCommand(requester, path);
    await appendDeviceRecords(transaction, changes, this.#context.clock.now());
  }

  async #locked(transaction: Transaction, path: string): Promise<StoredDevice> {
    const device = await lockDevice(transaction, path);
    if (device === undefined) throw unknownDevice(path);
    return device;
  }

  #newDevice(path: string, fields: DeviceFields, source: RegistryDevice['source']) {
    const nowMs = this.#context.clock.now();
    const state = 'active' as const;
    return { ...fields, id: randomUUID(), path, state, source, version: 1, createdMs: nowMs, pathFromMs: nowMs };
  }

  #entry(action: string, target: string) {
    return { time: this.#context.clock.now(), action, target };
  }

  #act(requester: Requester, action: string, target: string, details: Readonly<Record<string, unknown>>): Act {
    return { key: target, entry: entryOf(requester, { ...this.#entry(action, target), details }) };
  }
}

function done<T>(result: T, acts: readonly Act[]): { result: T; acts: readonly Act[] } {
  return { result, acts };
}

function assertEngineer(requester: Requester, path: string): void {
  assertDevicePath(path);
  assertRole(requester, 'engineer');
  assertMaySee(requester, path);
}

/** Throws `forbidden` for patterns that are not of the requester's tenant. */
export function assertPatternsOfTenant({ tenant }: Requester, patterns: readonly string[]): void {
  const other = tenant === '' ? undefined : patterns.find((pattern) => tenantOf(pattern) !== tenant);
  if (other === undefined) return;
  throw new TailraceError('forbidden', `expected devices of the tenant ${shown(tenant)}, got ${shown(other)}`);
}

async function assertBelowLimit(transaction: Transaction, more: number): Promise<void> {
  const { devicesMax } = registryLimits;
  if ((await countDevices(transaction, devicesMax)) + more <= devicesMax) return;
  throw new TailraceError('limit_reached', `registry: expected at most ${devicesMax} devices, got more`);
}

/** Returns whether a device is known by its reports alone. */
function isOnlyReported({ source, version, formerPaths }: StoredDevice): boolean {
  return source === 'report' && version === 1 && formerPaths.length === 0;
}

/** Returns why fields are invalid; undefined: they are valid. */
function fieldsError(fields: DeviceFields): string | undefined {
  const parsed = deviceFieldsSchema.safeParse(fields);
  if (parsed.success) return undefined;
  const { path, message } = parsed.error.issues[0]!;
  return `${path.join('.')}: ${message}`;
}

function unknownDevice(path: string): TailraceError {
  return new TailraceError('not_found', `device: expected one of the registry, got ${shown(path)}`);
}
