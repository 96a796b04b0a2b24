import { BlockList, isIP, isIPv4 } from 'node:net';
import { shown, TailraceError } from '@tailrace/protocol/error';

const mapped = /^(?:0{0,4}:){0,5}(?:0{0,4}:)?ffff:(?:([0-9a-f]{1,4}):([0-9a-f]{1,4})|(\d+\.\d+\.\d+\.\d+))$/i;

/**
 * Returns the address in its canonical form: an IPv4 address also where it came as IPv6 (`::ffff:10.0.0.1`). Undefined
 * for any other text.
 */
export function addressFrom(text: string): string | undefined {
  // As proxies write it: `10.0.0.1:4711`, `[2001:db8::1]:4711`.
  const bare = /^\[(.*)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text;
  if (isIP(bare) === 0) return undefined;
  const [, high, low, dotted] = mapped.exec(bare) ?? [];
  if (dotted !== undefined) return dotted;
  if (high === undefined || low === undefined) return bare;
  const [a, b] = [Number.parseInt(high, 16), Number.parseInt(low, 16)];
  return `${a >> 8}.${a & 255}.${b >> 8}.${b & 255}`;
}

/** Returns the key by which an address is counted: the address itself; of IPv6 its /64, which one host gets. */
export function addressKey(address: string): string {
  if (isIPv4(address)) return address;
  const [head = '', tail] = address.toLowerCase().split('::');
  const groups = (text: string | undefined) => (text ? text.split(':') : []);
  const [front, back] = [groups(head), groups(tail)];
  const zeros = tail === undefined ? [] : new Array<string>(Math.max(0, 8 - front.length - back.length)).fill('0');
  const network = [...front, ...zeros, ...back].slice(0, 4);
  return `${network.map((group) => Number.parseInt(group, 16).toString(16)).join(':')}::/64`;
}

/** The form of an entry of `trustedProxies`, for error messages. */
export const proxyForm = 'expected an address or a network, as in 10.0.0.7 or 10.0.0.0/8';

/** Returns the list of addresses and networks (`10.0.0.0/8`). Throws `invalid_config` for anything else. */
export function proxiesFrom(texts: readonly string[]): BlockList {
  const list = new BlockList();
  for (const text of texts) {
    const [address = '', bits, ...more] = text.split('/');
    const version = isIP(address);
    const bitsMax = version === 4 ? 32 : 128;
    const length = bits === undefined ? bitsMax : Number(bits || Number.NaN);
    if (version === 0 || more.length > 0 || !Number.isInteger(length) || length < 0 || length > bitsMax) {
      throw new TailraceError('invalid_config', `trustedProxies: ${proxyForm}, got ${shown(text)}`);
    }
    list.addSubnet(address, length, version === 4 ? 'ipv4' : 'ipv6');
  }
  return list;
}

export function isProxy(text: string): boolean {
  try {
    proxiesFrom([text]);
    return true;
  } catch {
    return false;
  }
}

/**
 * Returns the address of the client: the peer's, or, where that is a trusted proxy, the last address of
 * `X-Forwarded-For` that no trusted proxy has. Each proxy appends the address of its own peer. So everything before the
 * last address that is not trusted was sent by that peer, which may write anything there.
 */
export function clientAddress(peer: string, forwardedFor: string, trusted: BlockList): string {
  const isTrusted = (address: string) => trusted.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
  let client = addressFrom(peer) ?? peer;
  const forwarded = forwardedFor === '' ? [] : forwardedFor.split(',');
  while (isIP(client) !== 0 && isTrusted(client)) {
    const before = addressFrom(forwarded.pop()?.trim() ?? '');
    if (before === undefined) break;
    client = before;
  }
  return client;
}
