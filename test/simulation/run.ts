import { Bounds } from './bounds.ts';
import { Faults } from './faults.ts';
import { limits, sessionMs } from './limits.ts';
import type { Violation } from './violation.ts';
import { World, type WorldOptions } from './world.ts';

export interface RunResult {
  readonly seed: number;
  readonly violations: readonly Violation[];
  /** Of everything that happened: the same for the same seed. */
  readonly digest: string;
  readonly steps: number;
  readonly reports: number;
  readonly frames: number;
  /** From the end of the faults until every client was live and every node saw the same ring; undefined: not within the calm. */
  readonly convergedMs: number | undefined;
}

const faultsMs = { min: 30_000, max: 100_000 };
const settleMs = 2_000;
const calmMs = 20_000;
/** I5: within this long after the last fault. */
const convergenceMs = 5_000;
const stepMs = 50;
/** For the new owners of what a ghost had to deliver some reports. */
const newOwnersMs = 2_000;
/** For the next look at the end of the partitions, by a clock that may be slow, and the way to the client. */
const learningMs = 1_500;

/** One seed from its beginning to its verdict. */
export async function simulate(options: WorldOptions): Promise<RunResult> {
  const world = new World(options);
  const { scheduler, violations, chance, checker } = world;
  const bounds = new Bounds(world);
  const run = (ms: number) => scheduler.run(ms, () => bounds.check());
  const starting = world.start();
  await run(10);
  await starting;
  const faults = new Faults(world);
  for (let i = chance.whole(2, 3); i > 0; i--) world.startNode(`n${i}`);
  world.load.start();
  await run(settleMs);
  for (let i = chance.whole(8, 14); i > 0; i--) world.addClient();
  faults.start();
  await run(chance.between(faultsMs.min, faultsMs.max));
  faults.end();
  const convergedMs = await converge(world, faults, run);
  await stopLog(world, run);
  await haunt(world, run);
  await run(calmMs / 2);
  world.load.all();
  world.load.stop();
  await run(calmMs / 2);
  for (const why of notConverged(world)) violations.add('I5 convergence', `in the end ${why}`);
  checker.end();
  world.wire.end();
  const { seed } = options;
  const { steps } = scheduler;
  return {
    seed,
    violations: violations.list,
    digest: world.digest(),
    steps,
    reports: world.load.sent,
    frames: world.frames,
    convergedMs,
  };
}

/** How long it took until everything was well. */
async function converge(world: World, faults: Faults, run: (ms: number) => Promise<void>): Promise<number | undefined> {
  // A node that leaves takes its time, and is the last of the faults.
  for (let ms = 0; faults.stopping > 0 && ms < 10_000; ms += stepMs) await run(stepMs);
  const startMs = world.scheduler.nowMs;
  while (notConverged(world).length > 0) {
    if (world.scheduler.nowMs - startMs >= convergenceMs) {
      const why = notConverged(world).join('; ');
      world.violations.add('I5 convergence', `${convergenceMs / 1000} s after the last fault ${why}`);
      return undefined;
    }
    await run(stepMs);
  }
  return Math.round(world.scheduler.nowMs - startMs);
}

/**
 * No node can read the log, and all else works: owners announce, answer and send frames as ever. Every
 * client has to learn that what it watches is not read, whichever node serves it.
 */
async function stopLog(world: World, run: (ms: number) => Promise<void>): Promise<void> {
  // A client whose server's machine is gone finds that out first.
  await run(convergenceMs);
  if (notConverged(world).length > 0) return;
  world.logIsAway(true);
  await run(limits.interruptedMs + learningMs);
  for (const client of world.clients) {
    const facts = client.notInterrupted();
    if (facts !== undefined) world.violations.add('I8 interruption', facts);
  }
  world.logIsAway(false);
  await run(convergenceMs);
  for (const why of notConverged(world)) world.violations.add('I5 convergence', `after the log stood still ${why}`);
}

/**
 * One node alone is cut off from the log, and believes that it owns what it had. Once the group has given that to others, everybody else has to know so, though the
 * ghost says on the bus that it is its own.
 */
async function haunt(world: World, run: (ms: number) => Promise<void>): Promise<void> {
  const nodes = [...world.nodes.values()];
  if (nodes.length < 2) return;
  const ghost = world.chance.pick(nodes);
  world.note(`${ghost.name} becomes a ghost`);
  ghost.cutLog();
  await run(sessionMs + newOwnersMs);
  // Some come back by the ghost, which is behind what they have by then: they must not take that for their own mistake.
  for (const { name, connection } of world.clients) {
    world.note(`the connection of ${name} breaks`);
    connection?.close();
  }
  await run(convergenceMs);
  for (const { name, inside } of world.nodes.values()) {
    if (name === ghost.name || inside === undefined) continue;
    const { ring, partitions } = inside.ownership;
    const haunted = partitions.filter(({ number }) => ring.owner(number)?.node === ghost.name);
    if (haunted.length > 0) {
      const facts = `${name} takes the ghost ${ghost.name} for the owner of ${haunted.map(({ number }) => number)}`;
      world.violations.add('I5 convergence', facts);
    }
  }
  ghost.healLog();
}

/** Who is not well, and why. */
function notConverged(world: World): string[] {
  const found = world.clients.flatMap((client) => client.notLive() ?? []);
  const rings = new Map<string, string[]>();
  const servers = new Map<number, string[]>();
  for (const { name, inside } of world.nodes.values()) {
    if (inside === undefined) {
      found.push(`${name} has not started`);
      continue;
    }
    const { ring, partitions } = inside.ownership;
    for (const { number, role } of partitions)
      if (role === 'owned') servers.set(number, [...(servers.get(number) ?? []), name]);
    const owners = partitions.map(({ number }) => ring.owner(number)?.node ?? 'nobody').join(' ');
    if (owners.includes('nobody')) found.push(`${name} knows these owners: ${owners}`);
    rings.set(owners, [...(rings.get(owners) ?? []), name]);
  }
  // Two do no harm, but it has to end.
  for (const [number, names] of servers)
    if (names.length > 1) found.push(`partition ${number} is served by ${names.join(' and ')}`);
  if (rings.size > 1)
    found.push(`the rings differ: ${[...rings].map(([owners, nodes]) => `${nodes}: ${owners}`).join('; ')}`);
  return found;
}
