import { reportLimits } from '@tailrace/protocol/report-limits';
import { isPlainText } from '@tailrace/protocol/text';

/** Codes of UNECE Recommendation 20 that machines use, as UCUM. */
const ucumUnits: Readonly<Record<string, string>> = {
  CEL: 'Cel',
  FAH: '[degF]',
  KEL: 'K',
  BAR: 'bar',
  MBR: 'mbar',
  PAL: 'Pa',
  KPA: 'kPa',
  MPA: 'MPa',
  PS: '[psi]',
  MTR: 'm',
  MMT: 'mm',
  CMT: 'cm',
  KMT: 'km',
  MTS: 'm/s',
  C16: 'mm/s',
  KMH: 'km/h',
  MSK: 'm/s2',
  HTZ: 'Hz',
  KHZ: 'kHz',
  RPM: '{rpm}',
  AMP: 'A',
  '4K': 'mA',
  VLT: 'V',
  '2Z': 'mV',
  KVT: 'kV',
  OHM: 'Ohm',
  WTT: 'W',
  KWT: 'kW',
  MAW: 'MW',
  WHR: 'W.h',
  KWH: 'kW.h',
  MWH: 'MW.h',
  JOU: 'J',
  KJO: 'kJ',
  NEW: 'N',
  NU: 'N.m',
  KGM: 'kg',
  GRM: 'g',
  TNE: 't',
  LTR: 'L',
  MLT: 'mL',
  MTQ: 'm3',
  MQH: 'm3/h',
  L2: 'L/min',
  KGS: 'kg/s',
  SEC: 's',
  MIN: 'min',
  HUR: 'h',
  C26: 'ms',
  P1: '%',
  DD: 'deg',
  C81: 'rad',
  LUX: 'lx',
};

/**
 * Returns the unit of an EUInformation: by the code, which is the bytes of its characters as a number (Part 8, 5.6.3),
 * else the text that the server displays.
 */
export function unitFrom(information: unknown): string | undefined {
  if (typeof information !== 'object' || information === null) return undefined;
  const { unitId, displayName } = information as { unitId?: unknown; displayName?: { text?: string | null } };
  const known = typeof unitId === 'number' ? ucumUnits[codeFrom(unitId)] : undefined;
  const text = known ?? displayName?.text ?? '';
  return text.length > 0 && text.length <= reportLimits.unitCharactersMax && isPlainText(text) ? text : undefined;
}

function codeFrom(unitId: number): string {
  let code = '';
  for (let rest = unitId; rest > 0 && code.length < 4; rest = Math.floor(rest / 256)) {
    code = String.fromCharCode(rest % 256) + code;
  }
  return code;
}
