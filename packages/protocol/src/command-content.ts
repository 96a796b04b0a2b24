import type { DeviceCommand } from './device-command.ts';

/**
 * Returns a text of at most 14 characters that two commands share if they request the same of the same device: name and
 * parameters, in any order. Others share it by chance once in 2^64 (FNV-1a, 32 bits, from two offsets). It finds the
 * mistake of a requester that uses an ID twice, and is no protection from one that wants two commands to share it.
 */
export function commandContentOf({ device, name, params }: Pick<DeviceCommand, 'device' | 'name' | 'params'>): string {
  const entries = Object.entries(params).sort(([a], [b]) => (a < b ? -1 : 1));
  const text = JSON.stringify([device, name, entries]);
  let high = 0x811c9dc5;
  let low = 0x01000193;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    high = Math.imul(high ^ unit, 0x01000193);
    low = Math.imul(low ^ unit ^ (high >>> 15), 0x01000193);
  }
  return (high >>> 0).toString(36) + (low >>> 0).toString(36).padStart(7, '0');
}
