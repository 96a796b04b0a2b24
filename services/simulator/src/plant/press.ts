import { startAndStop } from './command.ts';
import { clamp, type MachineKind, reading } from './machine.ts';
import { follow, gaussian, wander } from './random.ts';

/** A hydraulic press. Strokes heat the oil, the air of the hall cools it. */
export interface Press {
  readonly isEnabled: boolean;
  /** Strokes a minute at full load. */
  readonly strokeRateSetpoint: number;
  /** Angle of the crank as a fraction of one stroke, 0 ≤ phase < 1. The ram is at the bottom at 0.5. */
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
/** Time constant of the oil's cooling (Newton's law). */
const coolingTauS = 240;
/** Temperature of the oil above the hall at full load, in equilibrium. */
const heatingFullK = 34;

export const press: MachineKind<Press> = {
  kind: 'press',
  everyTicks: 1,

  start: (random) => ({
    isEnabled: true,
    strokeRateSetpoint: strokesPerMinuteFull,
    phase: random(),
    strokesPerMinute: 0,
    strokes: Math.floor(random() * 2_000_000),
    oilC: 30 + random() * 15,
    pressureBar: pressureIdleBar,
    forceKn: 0,
  }),

  step(state, dtS, surroundings, random) {
    const wanted = surroundings.isPowered && state.isEnabled ? surroundings.load * state.strokeRateSetpoint : 0;
    const strokesPerMinute = clamp(
      wander(state.strokesPerMinute, wanted, wanted * 0.02, 4, dtS, random),
      0,
      strokesPerMinuteFull * 1.1,
    );
    const turned = state.phase + (strokesPerMinute / 60) * dtS;
    const phase = turned % 1;
    // The ram has pressure only near the bottom of the stroke.
    const squeeze = Math.max(0, Math.cos((phase - 0.5) * 2 * Math.PI)) ** 3;
    const isMoving = strokesPerMinute > 1;
    const pressureBar = surroundings.isPowered
      ? pressureIdleBar + (isMoving ? pressureStrokeBar * squeeze : 0)
      : follow(state.pressureBar, 0, 20, dtS);
    const heated = surroundings.ambientC + heatingFullK * (strokesPerMinute / strokesPerMinuteFull);
    return {
      ...state,
      phase,
      strokesPerMinute,
      strokes: state.strokes + Math.floor(turned),
      oilC: follow(state.oilC, heated, coolingTauS, dtS),
      pressureBar,
      // bar · m² = 100 kN
      forceKn: isMoving ? (pressureBar - pressureIdleBar) * ramAreaM2 * 100 : 0,
    };
  },

  commands: {
    actions: startAndStop,
    setpoints: {
      stroke_rate_setpoint: { low: 0, high: 26, apply: (state, value) => ({ ...state, strokeRateSetpoint: value }) },
    },
  },

  powerKw: (state) => 2 + 28 * (state.strokesPerMinute / strokesPerMinuteFull),

  readings: (state, random) => [
    reading('oil_temperature', state.oilC + 0.1 * gaussian(random), 'Cel', 1),
    reading('pressure', Math.max(0, state.pressureBar + 0.8 * gaussian(random)), 'bar', 1),
    reading('force', Math.max(0, state.forceKn + 2 * gaussian(random)), 'kN', 0),
    reading('stroke_rate', state.strokesPerMinute, '/min', 1),
    reading('strokes', state.strokes, '1', 0),
    { tag: 'running', value: state.strokesPerMinute > 1 },
    { tag: 'enabled', value: state.isEnabled },
    reading('stroke_rate_setpoint', state.strokeRateSetpoint, '/min', 1),
  ],
};
