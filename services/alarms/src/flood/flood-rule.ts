import { CompiledRule } from '@tailrace/rules/evaluation/compiled-rule';
import { floodLimits, floodRuleId } from '@tailrace/rules/flood-limits';
import { ruleFrom } from '@tailrace/rules/rule';

/**
 * An area is a path above devices, such as `plant1.line3`. A flood of alarms is an alarm of a device of the area,
 * `plant1.line3.alarm_flood`: who may see `plant1.line3.>` sees it. This device has no reports, so that it is in no
 * list of devices, and no scene sends it a command.
 */
const lastSegment = '.alarm_flood';

/** The reading of such a device: the alarms of the area in the last 10 minutes. */
export const raisedTag = 'raised_10min';

/**
 * More than 10 alarms in 10 minutes, until there are fewer than 5. A rule of the topic with its ID replaces it at the
 * floods that it matches; no other rule matches a flood. All numbers are integers. Its version is 0, so that
 * the first version of a rule that replaces it is another one.
 */
export const floodRule: CompiledRule = new CompiledRule({
  ...ruleFrom({
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
  version: 0,
});

/**
 * Returns the area of a device: the segments of its path, at most `levels`, without the last one. Undefined: its path
 * has one segment only.
 */
export function areaOf(device: string, levels: number): string | undefined {
  const segments = device.split('.');
  const kept = Math.min(levels, segments.length - 1);
  return kept === 0 ? undefined : segments.slice(0, kept).join('.');
}

/** Returns the device that has the flood of an area. */
export function floodDeviceOf(area: string): string {
  return `${area}${lastSegment}`;
}

/** Returns the area of the device of a flood; undefined: it is none. */
export function areaOfFlood(device: string): string | undefined {
  return isFloodDevice(device) ? device.slice(0, -lastSegment.length) : undefined;
}

/** Returns whether a device has the flood of an area, and no reports. */
export function isFloodDevice(device: string): boolean {
  return device.endsWith(lastSegment);
}
