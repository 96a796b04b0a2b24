import type { KnownDeviceLimits } from '../src/channels/device.ts';

/** More than any test needs. */
export const deviceLimits: KnownDeviceLimits = {
  devicesMax: 100_000,
  devicesPerTenantMax: 100_000,
  tagsPerDeviceMax: 1_000,
  lastValuesBytesMax: 1_000_000_000,
};
