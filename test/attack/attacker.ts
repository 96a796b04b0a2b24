/** The process of the attacker: runs one attack after the other on request of `attack-run.ts`. */
import { setTimeout as sleep } from 'node:timers/promises';
import { TailraceError } from '@tailrace/protocol/error';
import type { AttackContext, AttackSize, TargetAddresses } from './attack-definition.ts';
import { attacks } from './attacks.ts';
import { FactCounts } from './fact-counts.ts';
import { serveRequests } from './process-requests.ts';
import { replayTraffic, SentTraffic, type TrafficStep } from './sent-traffic.ts';

export interface AttackRequest {
  readonly name: string;
  readonly addresses: TargetAddresses;
  readonly size: AttackSize;
  readonly token: string;
  readonly tokens: readonly string[];
  readonly attackMs: number;
}

export interface AttackOutcome {
  readonly counts: ReadonlyMap<string, number>;
  readonly traffic: readonly TrafficStep[];
  /** Error in the code of the attack itself. */
  readonly error: string | undefined;
}

/** Duration of `prepare` at most. */
const prepareMs = 120_000;

function contextOf({ addresses, size, token, tokens }: AttackRequest, durationMs: number): AttackContext {
  const endMs = performance.now() + durationMs;
  const expiry = new AbortController();
  setTimeout(() => expiry.abort(), durationMs).unref();
  return {
    addresses,
    size,
    token,
    tokens,
    counts: new FactCounts(),
    isExpired: () => performance.now() >= endMs,
    async sleep(ms) {
      await sleep(ms, undefined, { signal: expiry.signal }).catch(() => {});
    },
  };
}

function attackNamed(name: string) {
  const attack = attacks.find((each) => each.name === name);
  if (attack === undefined) throw new TailraceError('not_found', `expected a known attack, got ${name}`);
  return attack;
}

const handlers = {
  async prepare(request: AttackRequest): Promise<void> {
    await attackNamed(request.name).prepare?.(contextOf(request, prepareMs));
  },

  async attack(request: AttackRequest): Promise<AttackOutcome> {
    const attack = attackNamed(request.name);
    const traffic = new SentTraffic();
    traffic.start();
    const context = contextOf(request, request.attackMs);
    let error: string | undefined;
    try {
      await attack.run(context);
    } catch (thrown) {
      error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    }
    return { counts: context.counts.entries(), traffic: traffic.stop(), error };
  },

  /** Sends the same traffic as an attack to a server that ignores it. */
  async replay({ steps, port }: { steps: readonly TrafficStep[]; port: number }): Promise<void> {
    await replayTraffic(steps, port);
  },
};

export type AttackerHandlers = typeof handlers;

serveRequests(handlers);
