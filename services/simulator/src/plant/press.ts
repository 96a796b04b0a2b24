import { clamp, type MachineKind, reading } from './machine.ts';
import { follow, gaussian, wander } from './random.ts';

/** A hydraulic press. Strokes put heat into the oil, the hall takes it out again. */
export interface Press {
  /** Angle of the crank as a part of one stroke, 0 ≤ phase < 1. The ram is at the bottom at 0.5. */
  readonly phase: number;
  readonly strokesPerMinute: number;
  readonly strokes: number;
  readonly oilC: number;
  readonly pressureBar: number;
  readonly forceKn: number;
}

const strokesPerMinuteFull = 24;
const pressureIdleBar = 35;
const pressureStrokeBar = 215;
const ramAreaM2 = 0.042;
/** Newton's law of cooling: the oil loses its excess over the hall with this time constant. */
const coolingTauS = 240;
/** What full load heats the oil above the hall in the long run. */
const heatingFullK = 34;

export const press: MachineKind<Press> = {
  kind: 'press',
  everyTicks: 1,

  start: (random) => ({
    phase: random(),
    strokesPerMinute: 0,
    strokes: Math.floor(random() * 2_000_000),
    oilC: 30 + random() * 15,
    pressureBar: pressureIdleBar,
    forceKn: 0,
  }),

  step(state, dtS, around, random) {
    const wanted = around.powered ? around.load * strokesPerMinuteFull : 0;
    const strokesPerMinute = clamp(
      wander(state.strokesPerMinute, wanted, wanted * 0.02, 4, dtS, random),
      0,
      strokesPerMinuteFull * 1.1,
    );
    const turned = state.phase + (strokesPerMinute / 60) * dtS;
    const phase = turned % 1;
    // Pressure stands on the ram only near the bottom of the stroke.
    const squeeze = Math.max(0, Math.cos((phase - 0.5) * 2 * Math.PI)) ** 3;
    const moving = strokesPerMinute > 1;
    const pressureBar = around.powered
      ? pressureIdleBar + (moving ? pressureStrokeBar * squeeze : 0)
      : follow(state.pressureBar, 0, 20, dtS);
    const heated = around.ambientC + heatingFullK * (strokesPerMinute / strokesPerMinuteFull);
    return {
      phase,
      strokesPerMinute,
      strokes: state.strokes + Math.floor(turned),
      oilC: follow(state.oilC, heated, coolingTauS, dtS),
      pressureBar,
      // bar · m² = 100 kN
      forceKn: moving ? (pressureBar - pressureIdleBar) * ramAreaM2 * 100 : 0,
    };
  },

  powerKw: (state) => 2 + 28 * (state.strokesPerMinute / strokesPerMinuteFull),

  readings: (state, random) => [
    reading('oil_temperature', state.oilC + 0.1 * gaussian(random), 'Cel', 1),
    reading('pressure', Math.max(0, state.pressureBar + 0.8 * gaussian(random)), 'bar', 1),
    reading('force', Math.max(0, state.forceKn + 2 * gaussian(random)), 'kN', 0),
    reading('stroke_rate', state.strokesPerMinute, '/min', 1),
    reading('strokes', state.strokes, '1', 0),
    { tag: 'running', value: state.strokesPerMinute > 1 },
  ],
};
