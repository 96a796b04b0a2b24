import { shown, TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { isPattern } from '@tailrace/protocol/pattern';
import type { DevicePage, DeviceQuery, DeviceState } from './device-page.ts';

const { PRESENCE_STATE_STALE: stale, PRESENCE_STATE_OFFLINE: offline } = tailrace.v1.PresenceState;

/** Devices of one page. With paths of 200 bytes it fits a bus message. */
export const devicesPerPageMax = 1_000;

/** A checked `DeviceListRequest`. */
export interface DeviceListRequest {
  readonly partitions: readonly number[];
  readonly query: DeviceQuery;
}

/** Throws `invalid_pattern` and `invalid_message`. */
export function deviceListRequestFrom(request: tailrace.v1.IDeviceListRequest): DeviceListRequest {
  const { partitions, patterns, after, limit, counts } = request;
  for (const pattern of patterns ?? []) {
    if (!isPattern(pattern)) throw new TailraceError('invalid_pattern', `expected a pattern, got ${shown(pattern)}`);
  }
  // One more than a page: it shows whether there is another page.
  if ((limit ?? 0) > devicesPerPageMax + 1) {
    throw new TailraceError('invalid_message', `limit: expected at most ${devicesPerPageMax + 1}, got ${limit}`);
  }
  const query = { patterns: patterns ?? [], after: after ?? '', limit: limit ?? 0, counts: counts ?? false };
  return { partitions: partitions ?? [], query };
}

export function deviceListOf(
  served: readonly { readonly number: number }[],
  page: DevicePage,
): tailrace.v1.IDeviceList {
  const devices = page.devices.map(({ path, receivedMs: received, state }) =>
    state === 'online' ? { path, received } : { path, received, state: state === 'stale' ? stale : offline },
  );
  return { partitions: served.map(({ number }) => number), devices, count: page.count, notOnline: page.notOnline };
}

export function devicePageFrom({ devices, count, notOnline }: tailrace.v1.IDeviceList): DevicePage {
  return {
    devices: (devices ?? []).map(({ path, received, state }) => ({
      path: path ?? '',
      receivedMs: received ?? 0,
      state: stateFrom(state),
    })),
    count: count ?? 0,
    notOnline: notOnline ?? 0,
  };
}

function stateFrom(state: tailrace.v1.PresenceState | null | undefined): DeviceState {
  return state === offline ? 'offline' : state === stale ? 'stale' : 'online';
}
