import type { Report } from '@tailrace/protocol/report';
import { DeviceAlarms } from '../src/device-alarms.ts';
import { CompiledRule } from '../src/evaluation/compiled-rule.ts';
import { ruleFrom } from '../src/rule.ts';

/**
 * Cost of the evaluation alone: 100,000 pairs of a rule and a device at 10,000 reports/s, in shares of one core.
 *
 *     node --expose-gc packages/rules/test/evaluation-bench.ts
 *
 * 10,000 devices have 10 rules each: four of limits, two with delays, and one each of rate, stale, state and
 * expression. Each report has four tags, so that it evaluates all rules of its device: the worst case. One value in a
 * thousand is beyond a limit.
 */
const devices = 10_000;
const reportsPerSecond = 10_000;
const seconds = 20;

const limits = (tag: string, value: number, more: object = {}) => ({
  condition: { kind: 'limits', tag, limits: { H: { value, hysteresis: 2 }, HH: { value: value + 5 } } },
  ...more,
});

const rules = [
  limits('a', 90),
  limits('b', 90),
  limits('c', 90),
  limits('d', 90),
  limits('a', 85, { onDelayMs: 5_000, offDelayMs: 5_000 }),
  limits('b', 85, { onDelayMs: 10_000 }),
  { condition: { kind: 'rate', tag: 'c', overMs: 10_000, rise: { value: 1_000 } } },
  { condition: { kind: 'stale', afterMs: 60_000 } },
  { condition: { kind: 'state', tag: 'd', in: [-1] } },
  { condition: { kind: 'expression', expression: 'a > 95.0 && b > 95.0 || c < -5.0' } },
].map((rule, index) => new CompiledRule(ruleFrom({ id: `rule${index}`, version: 1, devices: ['plant1.>'], ...rule })));

const counts = { evaluated: 0, lateReadings: 0, duplicateReports: 0 };
const start = 1_700_000_000_000;
const memoryBefore = heapBytes();
const all = Array.from({ length: devices }, (_, index) => {
  const alarms = new DeviceAlarms({ device: `plant1.line.d${index}`, epoch: 'e1', eventsEpoch: 'v1', counts });
  alarms.setRules(rules, start);
  return alarms;
});

/** Park and Miller's generator: the same reports in each run. */
let seed = 1;
function random(): number {
  seed = (seed * 48_271) % 0x7fffffff;
  return seed / 0x7fffffff;
}

function value(): number {
  return random() < 0.001 ? 100 : 20 + 60 * random();
}

let seq = 0;
let transitions = 0;

function runSecond(second: number): number {
  const reports: Report[] = Array.from({ length: reportsPerSecond }, (_, index) => {
    const time = start + second * 1_000 + index / 10;
    const readings = ['a', 'b', 'c', 'd'].map((tag) => ({ tag, value: value() }));
    return { device: all[index % devices]!.device, time, received: time, readings };
  });
  const before = process.cpuUsage();
  for (let index = 0; index < reports.length; index++) {
    const alarms = all[index % devices]!;
    transitions += alarms.report(reports[index]!, seq++).length;
    if (alarms.nextDueMs() <= start + second * 1_000) transitions += alarms.advance(start + second * 1_000).length;
  }
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

function heapBytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed;
}

const costs: number[] = [];
for (let second = 0; second < seconds; second++) costs.push(runSecond(second));
const measured = costs.slice(5).sort((a, b) => a - b);
const median = measured[Math.floor(measured.length / 2)]!;
const bytesPerPair = (heapBytes() - memoryBefore) / (devices * rules.length);
console.log(`pairs ${devices * rules.length}, reports/s ${reportsPerSecond}, evaluations ${counts.evaluated}`);
console.log(`transitions ${transitions}`);
console.log(`share of one core: median ${(median * 100).toFixed(1)} %, max ${(measured.at(-1)! * 100).toFixed(1)} %`);
console.log(`heap per pair: ${Math.round(bytesPerPair)} bytes`);
