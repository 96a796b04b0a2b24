import { isPattern, patternMatches } from '@tailrace/protocol/pattern';
import { plainText } from '@tailrace/rules/plain-text';
import { z } from 'zod';
import { type AlarmNotice, lowestPriority } from './alarm-notice.ts';
import { quietHoursSchema, quietUntil } from './quiet-hours.ts';
import type { TargetKind } from './target.ts';

/** What a route notifies of by default: an operator has to act, or need not any more. */
const defaultCauses = ['raised', 'limit_changed', 'realarmed', 'escalated', 'returned'];
const causes = [
  ...defaultCauses,
  ...['acknowledged', 'reset', 'shelved', 'unshelved', 'shelf_expired', 'suppressed', 'unsuppressed'],
  ...['removed_from_service', 'returned_to_service', 'rule_changed'],
];

/** Which alarms a target is notified of. */
export const routeSchema = z.strictObject({
  name: plainText(200).default(''),
  isEnabled: z.boolean().default(true),
  patterns: z
    .array(z.string().refine(isPattern, 'expected a pattern as in plant1.>'))
    .min(1)
    .max(100)
    .describe('Of the devices.'),
  priorityMax: z.int().min(1).max(5).default(5).describe('Alarms of this priority and higher ones; 1 is the highest.'),
  classes: z.array(z.string().min(1).max(100)).max(100).optional().describe('Classes of alarms. Default: all.'),
  causes: z
    .array(z.enum(causes))
    .min(1)
    .default(defaultCauses)
    .describe('What has changed an alarm. An Alertmanager is notified of all, because it has to know the end.'),
  targets: z.array(z.string().min(1).max(64)).min(1).max(20).describe('IDs of the targets.'),
  quietHours: quietHoursSchema
    .optional()
    .describe('An Alertmanager is not held back: it has time intervals of its own.'),
});

export type Route = Readonly<z.output<typeof routeSchema>> & { readonly id: string };

/** A notification of one target. */
export interface Delivery {
  readonly target: string;
  /** Not before, epoch ms. */
  readonly dueMs: number;
  /** Whether quiet hours delay it. */
  readonly isHeld: boolean;
}

/**
 * Returns the notifications of a transition: one for each target, at the earliest time that one of its routes allows.
 * `kindOf`: of a target; undefined for one that does not exist.
 */
export function deliveriesOf(
  notice: AlarmNotice,
  routes: readonly Route[],
  kindOf: (target: string) => TargetKind | undefined,
  nowMs: number,
): Delivery[] {
  const deliveries = new Map<string, Delivery>();
  for (const route of routes) {
    if (!matches(route, notice)) continue;
    for (const target of route.targets) {
      const kind = kindOf(target);
      const delivery = kind && deliveryOf(route, target, kind, notice, nowMs);
      if (delivery === undefined) continue;
      const known = deliveries.get(target);
      if (known === undefined || delivery.dueMs < known.dueMs) deliveries.set(target, delivery);
    }
  }
  return [...deliveries.values()];
}

function matches({ isEnabled, patterns, priorityMax, classes }: Route, notice: AlarmNotice): boolean {
  const { device, priority = lowestPriority, alarmClass = '' } = notice;
  if (!isEnabled || priority > priorityMax) return false;
  if (classes !== undefined && !classes.includes(alarmClass)) return false;
  return patterns.some((pattern) => patternMatches(pattern, device));
}

function deliveryOf(
  { causes: known, quietHours }: Route,
  target: string,
  kind: TargetKind,
  { cause = '', priority = lowestPriority }: AlarmNotice,
  nowMs: number,
): Delivery | undefined {
  const now = { target, dueMs: nowMs, isHeld: false };
  if (kind === 'alertmanager') return now;
  if (!known.includes(cause)) return undefined;
  if (quietHours === undefined || priority <= quietHours.exceptPriority) return now;
  const endMs = quietUntil(quietHours, nowMs);
  if (endMs === undefined) return now;
  return quietHours.during === 'drop' ? undefined : { target, dueMs: endMs, isHeld: true };
}
