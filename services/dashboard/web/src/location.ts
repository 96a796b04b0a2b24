/** What the page shows beside the list of devices. */
export type Section = 'device' | 'alarms' | 'scenes';

/** What the page shows, as it stands in the address: `#/plant1.line1.press1?window=5`, `#/~alarms`. */
export interface Place {
  readonly section: Section;
  /** Undefined: the list. In the section `device` alone. */
  readonly device: string | undefined;
  readonly windowMinutes: number;
}

export const windowChoices: readonly number[] = [1, 5, 15];
const windowDefault = 1;

/** Reads the fragment of an address; what is not understood counts as not there. */
export function placeFromHash(hash: string): Place {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?');
  const minutes = Number(new URLSearchParams(query).get('window'));
  const section = path === '~alarms' ? 'alarms' : path === '~scenes' ? 'scenes' : 'device';
  return {
    section,
    // The only characters of a device path, and its length.
    device: /^[A-Za-z0-9_.-]{1,200}$/.test(path) ? path : undefined,
    windowMinutes: windowChoices.includes(minutes) ? minutes : windowDefault,
  };
}

export function hashFromPlace(place: Place): string {
  const path = place.section === 'device' ? (place.device ?? '') : `~${place.section}`;
  return `#/${path}${place.windowMinutes === windowDefault ? '' : `?window=${place.windowMinutes}`}`;
}
