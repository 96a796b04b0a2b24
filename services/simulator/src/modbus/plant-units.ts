import type { RegisterEntry } from './modbus-unit.ts';

/** A machine of the plant behind the Modbus server. */
export interface PlantUnit {
  /** Unit ID. */
  readonly unit: number;
  readonly device: string;
  readonly entries: readonly RegisterEntry[];
}

/**
 * The units of the plant. The three meters have the same readings in three forms that real meters have: floating point
 * with the high register first, with the low one first, and scaled integers.
 */
export const plantUnits: readonly PlantUnit[] = [
  {
    unit: 1,
    device: 'plant1.utility.meter1',
    entries: [
      { tag: 'voltage', table: 'input', address: 0, type: 'f32', unit: 'V' },
      { tag: 'current', table: 'input', address: 6, type: 'f32', unit: 'A' },
      { tag: 'power', table: 'input', address: 12, type: 'f32', unit: 'kW' },
      { tag: 'power_factor', table: 'input', address: 30, type: 'f32', unit: '1' },
      { tag: 'frequency', table: 'input', address: 70, type: 'f32', unit: 'Hz' },
      { tag: 'energy', table: 'input', address: 72, type: 'f32', unit: 'kW.h' },
    ],
  },
  {
    unit: 2,
    device: 'plant1.utility.meter2',
    entries: [
      { tag: 'power', table: 'holding', address: 0, type: 'f32', wordOrder: 'little', unit: 'kW' },
      { tag: 'energy', table: 'holding', address: 2, type: 'f32', wordOrder: 'little', unit: 'kW.h' },
      { tag: 'voltage', table: 'holding', address: 4, type: 'f32', wordOrder: 'little', unit: 'V' },
      { tag: 'current', table: 'holding', address: 6, type: 'f32', wordOrder: 'little', unit: 'A' },
      { tag: 'frequency', table: 'holding', address: 8, type: 'f32', wordOrder: 'little', unit: 'Hz' },
      { tag: 'power_factor', table: 'holding', address: 10, type: 'f32', wordOrder: 'little', unit: '1' },
    ],
  },
  {
    unit: 3,
    device: 'plant1.utility.meter3',
    entries: [
      { tag: 'voltage', table: 'holding', address: 99, type: 'u16', scale: 0.1, unit: 'V' },
      { tag: 'current', table: 'holding', address: 100, type: 'u16', scale: 0.1, unit: 'A' },
      { tag: 'power', table: 'holding', address: 101, type: 'u16', scale: 0.01, unit: 'kW' },
      { tag: 'frequency', table: 'holding', address: 102, type: 'u16', scale: 0.001, unit: 'Hz' },
      { tag: 'power_factor', table: 'holding', address: 103, type: 'u16', scale: 0.001, unit: '1' },
      { tag: 'energy', table: 'holding', address: 120, type: 'u32', scale: 0.01, unit: 'kW.h' },
    ],
  },
  {
    unit: 4,
    device: 'plant1.utility.pump1',
    entries: [
      { tag: 'pressure', table: 'input', address: 0, type: 'u16', scale: 0.01, unit: 'bar' },
      { tag: 'flow', table: 'input', address: 1, type: 'u16', scale: 0.1, unit: 'm3/h' },
      { tag: 'speed', table: 'input', address: 2, type: 'u16', unit: '/min' },
      { tag: 'bearing_temperature', table: 'input', address: 3, type: 'i16', scale: 0.1, unit: 'Cel' },
      { tag: 'pressure_setpoint', table: 'holding', address: 0, type: 'f32', unit: 'bar', isWritable: true },
      { tag: 'enabled', table: 'coil', address: 0, type: 'bit', isWritable: true },
    ],
  },
];
