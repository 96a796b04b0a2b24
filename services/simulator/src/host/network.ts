import type { Reading } from '@tailrace/protocol/report';
import { countFrom, numberReading, rate } from './readings.ts';

/** Counters of one interface since boot. */
export interface NetworkCounters {
  readonly receivedBytes: number;
  readonly receivedPackets: number;
  readonly sentBytes: number;
  readonly sentPackets: number;
  /** Errors and drops, both directions. */
  readonly lostPackets: number;
}

const interfacesMax = 32;

/**
 * Parses `/proc/net/dev` (proc(5)). Returns the counters by interface, without loopback, interfaces of containers
 * (veth) and interfaces that were never used.
 */
export function parseNetDev(text: string): ReadonlyMap<string, NetworkCounters> {
  const interfaces = new Map<string, NetworkCounters>();
  for (const line of text.split('\n')) {
    // An alias contains a colon of its own (`eth0:1:`), and a long counter may touch the colon.
    const found = /^\s*(\S+):\s*(\d[\d\s]*)$/.exec(line);
    const name = found?.[1];
    if (name === undefined || name === 'lo' || name.startsWith('veth')) continue;
    const counts = (found?.[2] ?? '').trim().split(/\s+/).map(countFrom);
    const [receivedBytes, receivedPackets, receiveErrors, receiveDrops] = counts;
    const [sentBytes, sentPackets, sendErrors, sendDrops] = counts.slice(8);
    if (
      receivedBytes === undefined ||
      receivedPackets === undefined ||
      sentBytes === undefined ||
      sentPackets === undefined
    )
      continue;
    if (receivedBytes + sentBytes === 0) continue;
    const lostPackets = (receiveErrors ?? 0) + (receiveDrops ?? 0) + (sendErrors ?? 0) + (sendDrops ?? 0);
    interfaces.set(name, { receivedBytes, receivedPackets, sentBytes, sentPackets, lostPackets });
    if (interfaces.size === interfacesMax) break;
  }
  return interfaces;
}

export function networkReadings(now: NetworkCounters, before: NetworkCounters, spanS: number): Reading[] {
  return [
    ...numberReading('received', rate(now.receivedBytes, before.receivedBytes, spanS), 'By/s', 0),
    ...numberReading('sent', rate(now.sentBytes, before.sentBytes, spanS), 'By/s', 0),
    ...numberReading('packets_received', rate(now.receivedPackets, before.receivedPackets, spanS), '/s', 1),
    ...numberReading('packets_sent', rate(now.sentPackets, before.sentPackets, spanS), '/s', 1),
    ...numberReading('packets_lost', rate(now.lostPackets, before.lostPackets, spanS), '/s', 1),
  ];
}
