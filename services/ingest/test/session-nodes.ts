import type { Bus } from '@tailrace/bus/bus';
import { createMemoryNetwork, type MemoryFaults } from '@tailrace/bus/memory';
import type { Clock } from '@tailrace/platform/clock';
import { silentLogger } from '@tailrace/platform/logger';
import { Counter } from '@tailrace/platform/measures';
import { createMetrics } from '@tailrace/platform/metrics';
import { createFakeClock, type FakeClock } from '@tailrace/testkit/fake-clock';
import { DeviceRecords } from '../src/devices/device-record.ts';
import { Nonces } from '../src/devices/nonces.ts';
import { type Claim, type ClaimingSession, SessionRegistry } from '../src/devices/session-registry.ts';
import { SessionBus } from '../src/peers/session-bus.ts';

/** A session that records what the registry does with it. */
export class NodeSession implements ClaimingSession {
  readonly device: string;
  readonly address: string;
  readonly instance: string;
  readonly openedMs = 0;
  readonly protocol = 'websocket';
  readonly client = undefined;
  lastReceivedMs: number;
  number = 0;
  claim: Claim | undefined;
  waitMs = 0;
  replacedBy: string | undefined;
  isAbandoned = false;

  constructor(address: string, nowMs: number, device = 'plant1.a', instance = '') {
    this.address = address;
    this.lastReceivedMs = nowMs;
    this.device = device;
    this.instance = instance;
  }

  get isOpen(): boolean {
    return this.claim !== undefined && this.replacedBy === undefined;
  }

  claimed(claim: Claim): void {
    this.claim = claim;
    this.number = claim.number;
  }

  waits(waitMs: number): void {
    this.waitMs = waitMs;
  }

  replaced({ address, node }: { address: string; node: string }): void {
    this.replacedBy = `${address} on ${node}`;
  }

  abandoned(): void {
    this.isAbandoned = true;
  }

  renumbered(number: number): void {
    this.number = number;
  }
}

export interface SessionNode {
  readonly name: string;
  readonly bus: Bus;
  readonly peers: SessionBus;
  readonly registry: SessionRegistry<NodeSession>;
  readonly records: DeviceRecords;
  readonly nonces: Nonces;
  /** Times that a node was lost. */
  readonly lost: () => number;
  metric(name: string): Promise<number>;
  /** Opens a session of a device; it may wait for other nodes. */
  open(address: string, device?: string, instance?: string): NodeSession;
  stop(): Promise<void>;
}

export interface SessionNodes {
  readonly clock: FakeClock;
  readonly network: ReturnType<typeof createMemoryNetwork>;
  /** Starts a node. `skewMs`: how far its wall clock is ahead. */
  start(name: string, skewMs?: number): Promise<SessionNode>;
}

/** Ingest nodes with nothing but their sessions, on a network and a clock in memory. */
export function createSessionNodes({
  random = () => 0.5,
  faults = {},
}: {
  readonly random?: () => number;
  readonly faults?: MemoryFaults;
} = {}): SessionNodes {
  const clock = createFakeClock({ nowMs: 1_764_446_400_000 });
  const network = createMemoryNetwork({ clock, random, faults });
  return {
    clock,
    network,
    async start(name, skewMs = 0) {
      const own: Clock = { ...clock, now: () => clock.now() + skewMs };
      const bus = network.createBus({ node: name, logger: silentLogger });
      const pair = () => ({ yes: new Counter(), no: new Counter() });
      const registry = new SessionRegistry<NodeSession>({
        ...{ node: name, clock: own, logger: silentLogger, counts: { node: pair(), cluster: pair() } },
        presence: { conflict: () => {} },
        onClockAhead: () => {},
      });
      const records = new DeviceRecords({ recentIds: 8, recentIdBytesMax: 65_536 });
      const nonces = new Nonces(own, 100);
      const metrics = createMetrics({ service: 'ingest', node: name, processMetrics: false });
      let lost = 0;
      const lookback = { lost: () => void lost++, idsOf: () => undefined };
      const peers = new SessionBus({
        ...{
          bus,
          node: name,
          registry,
          records,
          nonces,
          lookback,
          clients: { take: () => undefined },
          clock: own,
          logger: silentLogger,
          metrics,
        },
      });
      await bus.start();
      peers.start();
      await peers.subscribe();
      return {
        ...{ name, bus, peers, registry, records, nonces, lost: () => lost },
        async metric(series) {
          const line = (await metrics.text()).split('\n').find((each) => each.startsWith(`${series}{`));
          return Number(line?.split(' ').at(-1));
        },
        open(address, device, instance) {
          const session = new NodeSession(address, clock.monotonic(), device, instance);
          registry.claim(session);
          return session;
        },
        async stop() {
          peers.stop();
          await bus.close();
        },
      };
    },
  };
}
