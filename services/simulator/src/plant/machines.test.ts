import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compressor } from './compressor.ts';
import { conveyor } from './conveyor.ts';
import { door } from './door.ts';
import type { MachineKind, Surroundings } from './machine.ts';
import { oven } from './oven.ts';
import { press } from './press.ts';
import { pump } from './pump.ts';
import { createRandom } from './random.ts';
import { robot } from './robot.ts';
import { shiftLoad } from './shift.ts';
import { spindle } from './spindle.ts';

const working: Surroundings = {
  load: 1,
  ambientC: 22,
  isGateOpen: false,
  isRobotMoving: false,
  linePowerKw: 0,
  isPowered: true,
};

/** Returns the states of a machine, one every half second. */
function states<State>(
  kind: MachineKind<State>,
  seconds: number,
  surroundings: Surroundings = working,
  from?: State,
): State[] {
  const random = createRandom(11);
  let state = from ?? kind.start(random);
  const all: State[] = [];
  for (let tick = 0; tick < seconds * 2; tick++) {
    state = kind.step(state, 0.5, surroundings, random);
    all.push(state);
  }
  return all;
}

test('a step does not change its argument', () => {
  const random = createRandom(1);
  for (const kind of [press, spindle, conveyor, oven, compressor, robot, door, pump] as MachineKind<object>[]) {
    const state = Object.freeze(kind.start(random));
    const before = structuredClone(state);
    kind.step(state, 0.5, working, random);
    assert.deepEqual(state, before);
  }
});

test('a press warms up with load and cools down towards the hall, slower the closer it is', () => {
  const cold = { ...press.start(createRandom(1)), oilC: 22 };
  const warm = states(press, 1800, working, cold).at(-1)!;
  assert.ok(warm.oilC > 50, `${warm.oilC}`);
  const cooling = states(press, 1200, { ...working, load: 0 }, warm).map(({ oilC }) => oilC - 22);
  assert.ok(cooling.every((excess, index) => excess > 0 && (index === 0 || excess <= cooling[index - 1]!)));
  // Newton: the same part of the excess goes in the same time.
  assert.ok(Math.abs(cooling[1000]! / cooling[500]! - cooling[1500]! / cooling[1000]!) < 0.01);
});

test('a press counts its strokes', () => {
  const all = states(press, 600);
  const strokes = all.at(-1)!.strokes - all[0]!.strokes;
  assert.ok(strokes > 220 && strokes < 250, `${strokes} at 24 a minute in ten minutes`);
});

test('a bearing wears until it is replaced; worn, it shakes more and runs hotter', () => {
  const all = states(spindle, 7200, working, { ...spindle.start(createRandom(1)), wear: 0 });
  for (const [index, state] of all.entries()) {
    const before = all[index - 1];
    if (before && state.bearingsReplaced === before.bearingsReplaced) assert.ok(state.wear >= before.wear);
  }
  assert.ok(all.at(-1)!.bearingsReplaced >= 1);
  const isCutting = ({ speedPerMinute }: { speedPerMinute: number }) => speedPerMinute > 11_000;
  const fresh = all.filter((state) => isCutting(state) && state.wear < 0.1);
  const worn = all.filter((state) => isCutting(state) && state.wear > 0.9);
  const mean = (list: readonly number[]) => list.reduce((sum, value) => sum + value, 0) / list.length;
  assert.ok(
    mean(worn.map(({ vibrationMmS }) => vibrationMmS)) > 4 * mean(fresh.map(({ vibrationMmS }) => vibrationMmS)),
  );
  assert.ok(mean(worn.map(({ bearingC }) => bearingC)) > 10 + mean(fresh.map(({ bearingC }) => bearingC)));
  const service = all.filter(({ serviceS }) => serviceS > 0);
  assert.equal(
    spindle.readings(service.at(-1)!, createRandom(1)).find(({ tag }) => tag === 'state')?.value,
    'bearing service',
  );
});

test('an oven holds its set point while the door is closed, and loses heat while it is open', () => {
  const closed = { ...oven.start(createRandom(3)), chamberC: 60, doorS: 1e9 };
  const settled = states(oven, 1200, working, { ...closed, setpointC: 200 }).slice(-600);
  for (const { chamberC, setpointC } of settled)
    assert.ok(Math.abs(chamberC - setpointC) < 12, `${chamberC} of ${setpointC}`);
  const hot = { ...settled.at(-1)!, isDoorOpen: true, doorS: 1e9 };
  const opened = states(oven, 20, working, hot);
  assert.ok(opened.at(-1)!.chamberC < hot.chamberC - 15);
  assert.ok(opened.at(-1)!.heater > 0.9, 'the controller compensates');
  const reclosed = states(oven, 300, working, { ...opened.at(-1)!, isDoorOpen: false }).at(-1)!;
  assert.ok(Math.abs(reclosed.chamberC - reclosed.setpointC) < 8, 'and returns to the set point');
});

test('a compressor keeps the tank between cut-in and cut-out', () => {
  const all = states(compressor, 1800);
  assert.ok(all.every(({ tankBar }) => tankBar > 6 && tankBar < 8.5));
  const switched = all.filter((state, index) => index > 0 && state.isLoaded !== all[index - 1]!.isLoaded);
  assert.ok(switched.length > 4);
});

test('an open gate stops robots and belt until it closes', () => {
  const gate = { ...working, isGateOpen: true };
  const running = states(robot, 30).at(-1)!;
  const isStopped = states(robot, 3, gate, running).at(-1)!;
  assert.ok(isStopped.isStopped && isStopped.speed < 0.001);
  assert.equal(states(robot, 10, gate, isStopped).at(-1)!.cycles, isStopped.cycles);
  assert.ok(states(robot, 60, working, isStopped).at(-1)!.cycles > isStopped.cycles);
  assert.ok(states(conveyor, 10, gate, states(conveyor, 30).at(-1)!).at(-1)!.speedMS < 0.01);
});

test('a jammed belt stops, with its motor at stall current', () => {
  const jam = states(conveyor, 7200).filter(({ jamS, speedMS }) => jamS > 0 && speedMS < 0.01);
  assert.ok(jam.length > 0);
  assert.ok(jam.some(({ motorA }) => motorA > 9));
});

test('a pump holds its set point, and lets the pressure go when it stops', () => {
  const running = states(pump, 300).slice(-100);
  for (const { pressureBar } of running) assert.ok(Math.abs(pressureBar - 5) < 0.6, `${pressureBar}`);
  const higher = states(pump, 300, working, { ...running.at(-1)!, setpointBar: 7 }).at(-1)!;
  assert.ok(Math.abs(higher.pressureBar - 7) < 0.6, `${higher.pressureBar}`);
  const stopped = states(pump, 30, working, { ...higher, isEnabled: false }).at(-1)!;
  assert.ok(stopped.pressureBar < 0.1 && stopped.speed < 0.01 && stopped.flowM3H < 0.1);
});

test('a shift ramps up, pauses and stops, and lines are not in step', () => {
  assert.equal(shiftLoad(250_000, 0), 0);
  assert.ok(shiftLoad(120_000, 0) > 0.8);
  assert.equal(shiftLoad(250_000 + 160_000, 160), 0);
  assert.ok(shiftLoad(250_000, 160) > 0.8);
  for (let second = -500; second < 1500; second++) {
    const load = shiftLoad(second * 1000, 0);
    assert.ok(load >= 0 && load <= 1);
  }
});
