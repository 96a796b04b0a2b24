/** What the page shows, as it stands in the address: `#/plant1.line1.press1?window=5`. */
export interface Place {
  /** Undefined: the list. */
  readonly device: string | undefined;
  readonly windowMinutes: number;
}

export const windowChoices: readonly number[] = [1, 5, 15];
const windowDefault = 1;

/** Reads the fragment of an address; what is not understood counts as not there. */
export function placeFromHash(hash: string): Place {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?');
  const minutes = Number(new URLSearchParams(query).get('window'));
  return {
    // The only characters of a device path, and its length.
    device: /^[A-Za-z0-9_.-]{1,200}$/.test(path) ? path : undefined,
    windowMinutes: windowChoices.includes(minutes) ? minutes : windowDefault,
  };
}

export function hashFromPlace(place: Place): string {
  return `#/${place.device ?? ''}${place.windowMinutes === windowDefault ? '' : `?window=${place.windowMinutes}`}`;
}
