import { BlockList, isIP, isIPv4 } from 'node:net';
import { addressFrom } from '@tailrace/platform/client-address';
import { shown, TailraceError } from '@tailrace/protocol/error';

/*
 * Addresses that a notification may not reach by default: a person who may configure a target must not thereby get
 * requests from inside of this network to this process itself, to the services of the machine, or to the metadata of a
 * cloud. Private networks are allowed: a plant's receivers are in one.
 */
const forbidden: readonly (readonly [network: string, bits: number])[] = [
  // "This" host (RFC 1122), loopback, link-local with the metadata services of clouds, multicast, reserved, broadcast;
  // the metadata services of Alibaba, Azure and Oracle, which are outside of link-local.
  ...([
    ['0.0.0.0', 8],
    ['127.0.0.0', 8],
    ['169.254.0.0', 16],
    ['100.100.100.200', 32],
    ['168.63.129.16', 32],
    ['192.0.0.192', 32],
    ['224.0.0.0', 4],
    ['240.0.0.0', 4],
  ] as const),
  // Unspecified, loopback and what has an IPv4 address by a former form (RFC 4291, 2.5.5.1; RFC 2765; RFC 3056);
  // link-local, multicast; the metadata services of AWS and of Google over IPv6.
  ...([
    ['::', 96],
    ['::ffff:0:0:0', 96],
    ['2002::', 16],
    ['64:ff9b:1::', 48],
    ['fe80::', 10],
    ['ff00::', 8],
    ['fd00:ec2::254', 128],
    ['fd20:ce::254', 128],
  ] as const),
];
/** Prefixes by which an IPv6 address has an IPv4 one in its last 32 bits: NAT64 (RFC 6052). */
const translated = '64:ff9b::';

/** Decides which addresses notifications may reach. */
export class OutwardAddresses {
  readonly #forbidden = new BlockList();
  readonly #allowed = new BlockList();

  /** `allowed`: networks that are allowed all the same, as in 127.0.0.0/8. Throws `invalid_config` for none. */
  constructor(allowed: readonly string[]) {
    for (const [network, bits] of forbidden) add(this.#forbidden, network, bits);
    for (const text of allowed) addNetwork(this.#allowed, text);
  }

  /** Returns whether an address may be reached. */
  allows(text: string): boolean {
    const address = plainAddress(text);
    const family = address !== undefined && isIPv4(address) ? 'ipv4' : 'ipv6';
    return address !== undefined && (this.#allowed.check(address, family) || !this.#forbidden.check(address, family));
  }

  /**
   * Returns whether the host of a URL may be reached, as far as that is known without a look-up of its name: the
   * addresses of a name are checked when the connection is made.
   */
  allowsHost(host: string): boolean {
    const text = host.replace(/^\[|\]$/g, '');
    if (isIP(text) !== 0) return this.allows(text);
    return !/(^|\.)localhost\.?$/i.test(text) || this.allows('127.0.0.1');
  }

  /** Throws `forbidden` for an address that may not be reached. */
  assert(text: string): void {
    if (this.allows(text)) return;
    const hint = 'loopback, link-local and multicast addresses are refused, unless notificationNetworks has them';
    throw new TailraceError(
      'forbidden',
      `address of the target: expected one outside of this machine, got ${text}: ${hint}`,
    );
  }
}

/** Whether the text is a network as `notificationNetworks` has them. */
export function isNetwork(text: string): boolean {
  try {
    addNetwork(new BlockList(), text);
    return true;
  } catch {
    return false;
  }
}

/** Returns the IPv4 address where an IPv6 one stands for it; undefined: no address. */
function plainAddress(text: string): string | undefined {
  const [bare = ''] = text.replace(/^\[|\]$/g, '').split('%');
  const address = addressFrom(bare);
  if (address === undefined || isIPv4(address)) return address;
  const list = new BlockList();
  list.addSubnet(translated, 96, 'ipv6');
  if (!list.check(address, 'ipv6')) return address;
  const tail = address.slice(address.lastIndexOf('::') + 2);
  if (tail.includes('.')) return tail;
  const [high = '0', low = '0'] = tail.split(':').length === 1 ? ['0', tail] : tail.split(':');
  const [a, b] = [Number.parseInt(high || '0', 16), Number.parseInt(low || '0', 16)];
  return `${a >> 8}.${a & 255}.${b >> 8}.${b & 255}`;
}

function addNetwork(list: BlockList, text: string): void {
  const [address = '', bits, ...more] = text.split('/');
  const bitsMax = isIPv4(address) ? 32 : 128;
  const length = bits === undefined ? bitsMax : Number(bits || Number.NaN);
  if (isIP(address) === 0 || more.length > 0 || !Number.isInteger(length) || length < 0 || length > bitsMax) {
    const expected = 'expected an address or a network, as in 127.0.0.1 or 10.0.0.0/8';
    throw new TailraceError('invalid_config', `notificationNetworks: ${expected}, got ${shown(text)}`);
  }
  add(list, address, length);
}

function add(list: BlockList, address: string, bits: number): void {
  list.addSubnet(address, bits, isIPv4(address) ? 'ipv4' : 'ipv6');
}
