import { rightsFrom } from '@tailrace/platform/access';
import type { Grant } from '../intake/record-from.ts';

/** Patterns that are named in an error. */
const shownPatternsMax = 5;

/**
 * Returns the devices of which a bridge may send reports: also of Sparkplug, over the same broker. `publish`: patterns
 * of its settings.
 */
export function bridgeGrant(name: string, publish: readonly string[]): Grant & { readonly identity: string } {
  const rights = rightsFrom(publish);
  const more = publish.length > shownPatternsMax ? ` and ${publish.length - shownPatternsMax} more` : '';
  return {
    identity: JSON.stringify(['bridge', name]),
    allowsDevice: (path) => rights.allowsDevice(path),
    covers: `the bridge ${name} may publish ${publish.slice(0, shownPatternsMax).join(', ')}${more}`,
  };
}
