import { Bounds } from './bounds.ts';
import { ControlFaults } from './control-faults.ts';
import { ControlLoad } from './control-load.ts';
import type { ControlCounts } from './control-side.ts';
import { Faults } from './faults.ts';
import { limits, sessionMs } from './limits.ts';
import type { Violation } from './violation.ts';
import { World, type WorldOptions } from './world.ts';

export interface RunResult {
  readonly seed: number;
  readonly violations: readonly Violation[];
  /** Hash of all events: the same for the same seed. */
  readonly digest: string;
  readonly steps: number;
  readonly reports: number;
  readonly frames: number;
  /** Of control; undefined in a seed without it. */
  readonly control: ControlCounts | undefined;
  /** From the last fault until all clients were live and all nodes saw one ring; undefined: not within the limit. */
  readonly convergedMs: number | undefined;
}

const faultsMs = { min: 30_000, max: 100_000 };
/** In a seed with control, whose SQL takes most of the time. */
const controlFaultsMs = { min: 20_000, max: 45_000 };
const settleMs = 2_000;
const calmMs = 20_000;
/** I5: limit after the last fault, ms. */
const convergenceMs = 5_000;
const stepMs = 50;
/** For the new owners of a zombie's partitions to deliver some reports, ms. */
const newOwnersMs = 2_000;
/** For the next poll of the end offsets, by a clock that may be slow, and the delivery to the client, ms. */
const detectionMs = 1_500;

/** Runs one seed and checks all invariants. */
export async function simulate(options: WorldOptions): Promise<RunResult> {
  const world = new World(options);
  const { scheduler, violations, chance, checker } = world;
  const bounds = new Bounds(world);
  const run = (ms: number) => scheduler.run(ms, () => bounds.check());
  await world.control?.open();
  const starting = world.start();
  await run(10);
  await starting;
  const faults = new Faults(world);
  const { control } = world;
  const controlLoad = control && new ControlLoad(control);
  const controlFaults = control && new ControlFaults(control);
  for (let i = chance.whole(2, 3); i > 0; i--) world.startNode(`n${i}`);
  world.load.start();
  world.alarmLoad.start();
  await run(settleMs);
  for (let i = chance.whole(8, 14); i > 0; i--) world.addClient();
  faults.start();
  controlLoad?.start();
  controlFaults?.start();
  const { min, max } = control === undefined ? faultsMs : controlFaultsMs;
  await run(chance.between(min, max));
  faults.end();
  controlFaults?.end();
  const convergedMs = await converge(world, faults, run);
  await stopLog(world, run);
  await isolateOwner(world, run);
  await run(calmMs / 2);
  controlLoad?.stop();
  world.load.all();
  world.load.stop();
  world.alarmLoad.stop();
  await run(calmMs / 2);
  for (const why of notConverged(world)) violations.add('I5 convergence', `at the end ${why}`);
  await control?.end(run);
  checker.end();
  world.alarmChecker.end();
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
    control: world.control?.counts,
    convergedMs,
  };
}

/** Returns how long it took until all clients were live and all nodes saw one ring. */
async function converge(world: World, faults: Faults, run: (ms: number) => Promise<void>): Promise<number | undefined> {
  // A node that is still stopping is the last of the faults.
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
 * No node can read the log, and all else works: owners announce, answer and send frames. Every client must be notified
 * that its partitions are not read, whichever node serves it.
 */
async function stopLog(world: World, run: (ms: number) => Promise<void>): Promise<void> {
  // First, clients of a failed machine detect it.
  await run(convergenceMs);
  if (notConverged(world).length > 0) return;
  world.setLogUnavailable(true);
  await run(limits.interruptedMs + detectionMs);
  for (const client of world.clients) {
    const facts = client.notInterrupted();
    if (facts !== undefined) world.violations.add('I8 interruption', facts);
  }
  world.setLogUnavailable(false);
  await run(convergenceMs);
  for (const why of notConverged(world)) world.violations.add('I5 convergence', `after the log was unavailable ${why}`);
}

/**
 * One node is partitioned from the log, and still believes that it owns its partitions: a zombie. When the group has
 * assigned them to others, all other nodes must know these owners, although the zombie still announces itself.
 */
async function isolateOwner(world: World, run: (ms: number) => Promise<void>): Promise<void> {
  const nodes = [...world.nodes.values()];
  if (nodes.length < 2) return;
  const zombie = world.chance.pick(nodes);
  world.note(`${zombie.name} becomes a zombie`);
  zombie.isolateFromLog();
  await run(sessionMs + newOwnersMs);
  // Some reconnect to the zombie, which is behind their positions: it must not reject these as invalid.
  for (const { name, connection } of world.clients) {
    world.note(`the connection of ${name} breaks`);
    connection?.close();
  }
  await run(convergenceMs);
  for (const { name, inside } of world.nodes.values()) {
    if (name === zombie.name || inside === undefined) continue;
    const { ring, partitions } = inside.ownership;
    const misattributed = partitions.filter(({ number }) => ring.owner(number)?.node === zombie.name);
    if (misattributed.length > 0) {
      const facts = `${name} takes the zombie ${zombie.name} as the owner of ${misattributed.map(({ number }) => number)}`;
      world.violations.add('I5 convergence', facts);
    }
  }
  zombie.healLog();
}

/** Returns the clients and nodes that have not converged, and why. */
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
    const owners = partitions.map(({ number }) => ring.owner(number)?.node ?? 'none').join(' ');
    if (owners.includes('none')) found.push(`${name} knows these owners: ${owners}`);
    rings.set(owners, [...(rings.get(owners) ?? []), name]);
  }
  // Two do no harm, but only for a while.
  for (const [number, names] of servers)
    if (names.length > 1) found.push(`partition ${number} is served by ${names.join(' and ')}`);
  if (rings.size > 1)
    found.push(`the rings differ: ${[...rings].map(([owners, nodes]) => `${nodes}: ${owners}`).join('; ')}`);
  return found;
}
