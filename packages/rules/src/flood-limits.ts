/** A rule with this ID replaces the built-in one of floods, for all areas. */
export const floodRuleId = 'alarm-flood';

/**
 * Numbers of ISA-18.2 and EEMUA 191: more than 10 alarms in 10 minutes are more than an operator can handle, and the
 * flood stops when there are fewer than 5.
 */
export const floodLimits = { windowMs: 600_000, startAbove: 10, stopBelow: 5 } as const;
