/** What the page reads of its token. Servers decide about rights: the page only leaves out what they would refuse. */
export interface TokenClaims {
  readonly subject: string;
  /** Patterns of the devices that may be seen. */
  readonly subscribe: readonly string[];
  /** Patterns of the devices that may be commanded. */
  readonly command: readonly string[];
}

/** Returns the claims of a JWT, without a check of its signature; undefined for another token. */
export function claimsFrom(token: string): TokenClaims | undefined {
  try {
    const payload = (token.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes)) as Readonly<Record<string, unknown>>;
    return {
      subject: String(claims['sub'] ?? ''),
      subscribe: patternsIn(claims['subscribe']),
      command: patternsIn(claims['command']),
    };
  } catch {
    return undefined;
  }
}

function patternsIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}

/** Returns whether one of the patterns matches the device. */
export function matchesOne(patterns: readonly string[], device: string): boolean {
  return patterns.some((each) => (each.endsWith('>') ? device.startsWith(each.slice(0, -1)) : each === device));
}

/** Returns the channels that have all alarms that the token may see, without those that another one covers. */
export function alarmChannels(claims: TokenClaims | undefined): readonly string[] {
  if (claims === undefined) return ['>'];
  const { subscribe } = claims;
  return subscribe.filter((each, index) =>
    subscribe.every((other, at) => at === index || !covers(other, each) || (other === each && at > index)),
  );
}

function covers(outer: string, inner: string): boolean {
  return outer === inner || (outer.endsWith('>') && inner.startsWith(outer.slice(0, -1)));
}
