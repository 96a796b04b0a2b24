import { ruleFrom } from '@tailrace/rules/rule';
import { CompiledRule } from '../evaluation/compiled-rule.ts';
import { floodLimits } from './alarm-rate.ts';

/**
 * An area is a path above devices, such as `plant1.line3`. How many alarms it got is a reading of a device of its own,
 * `plant1.line3.alarms`, and a flood is an alarm of that device, as all alarms are.
 */
const lastSegment = '.alarms';

/** Tag of the number of alarms of the last 10 minutes. */
export const raisedTag = 'raised_10min';

/** A rule of the topic with this ID replaces the one below, for all areas. */
export const floodRuleId = 'alarm-flood';

/** More than 10 alarms in 10 minutes, until there are fewer than 5. All numbers are integers. */
export const floodRule: CompiledRule = new CompiledRule(
  ruleFrom({
    ...{ id: floodRuleId, version: 1, name: 'Alarm flood', devices: ['>'], priority: 2 },
    condition: {
      kind: 'limits',
      tag: raisedTag,
      limits: {
        H: { value: floodLimits.startAbove + 0.5, hysteresis: floodLimits.startAbove + 1 - floodLimits.stopBelow },
      },
    },
    message: '{value} alarms in 10 minutes',
  }),
);

/**
 * Returns the area of a device: its path, cut to at most `levels` segments, and without its last one. Undefined: its
 * path has one segment only.
 */
export function areaOf(device: string, levels: number): string | undefined {
  const segments = device.split('.');
  const kept = Math.min(levels, segments.length - 1);
  return kept === 0 ? undefined : segments.slice(0, kept).join('.');
}

/** Returns the device that has the rate of an area as its reading. */
export function rateDeviceOf(area: string): string {
  return `${area}${lastSegment}`;
}

/** Returns whether a device may have the rate of an area as its reading. */
export function isRateDevice(device: string): boolean {
  return device.endsWith(lastSegment);
}
