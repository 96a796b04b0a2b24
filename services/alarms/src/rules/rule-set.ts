import { patternMatches } from '@tailrace/protocol/pattern';
import { PatternTrie } from '@tailrace/protocol/pattern-trie';
import type { DeviceAttributes, RuleWhere } from '@tailrace/rules/device-attributes';
import type { CompiledRule } from '@tailrace/rules/evaluation/compiled-rule';
import { floodRuleId } from '@tailrace/rules/flood-limits';
import { floodRule, isFloodDevice } from '../flood/flood-rule.ts';
import { DeviceDirectory } from './device-directory.ts';

/**
 * The rules in force, found by device.
 *
 * Rules without `where` are found by their patterns. One with `where` is found by one pair that a device must have, its
 * kind or a label, so that a device without attributes costs one look-up, whatever the number of such rules.
 */
export class RuleSet {
  /** Rises with each change of rules, and of the rules of a device. A device with an older one has to be updated. */
  version = 0;
  readonly devices: DeviceDirectory;
  readonly #byId = new Map<string, CompiledRule>();
  readonly #byPattern = new PatternTrie<string>();
  readonly #byPair = new Map<string, Set<string>>();
  readonly #hasFloods: boolean;

  /** `hasFloods`: whether a flood of alarms of an area is an alarm. */
  constructor({ devices = new DeviceDirectory(), hasFloods = false } = {}) {
    this.devices = devices;
    this.#hasFloods = hasFloods;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Replaces the rules; the same object is the same rule. Returns whether one was added, removed or replaced. */
  replace(rules: ReadonlyMap<string, CompiledRule>): boolean {
    let hasChanged = false;
    for (const [id, compiled] of this.#byId) {
      if (rules.get(id) === compiled) continue;
      this.#remove(id, compiled);
      hasChanged = true;
    }
    for (const [id, compiled] of rules) {
      if (this.#byId.has(id)) continue;
      this.#add(id, compiled);
      hasChanged = true;
    }
    if (hasChanged) this.version++;
    return hasChanged;
  }

  #add(id: string, compiled: CompiledRule): void {
    this.#byId.set(id, compiled);
    // It is for floods alone, whose devices match no other rule.
    if (id === floodRuleId) return;
    const { where, devices } = compiled.rule;
    if (where === undefined) {
      for (const pattern of devices) this.#byPattern.add(pattern, id);
      return;
    }
    const pair = pairOf(where);
    const ids = this.#byPair.get(pair) ?? new Set();
    this.#byPair.set(pair, ids.add(id));
  }

  #remove(id: string, compiled: CompiledRule): void {
    this.#byId.delete(id);
    if (id === floodRuleId) return;
    const { where, devices } = compiled.rule;
    if (where === undefined) {
      for (const pattern of devices) this.#byPattern.delete(pattern, id);
      return;
    }
    const pair = pairOf(where);
    const ids = this.#byPair.get(pair)!;
    ids.delete(id);
    if (ids.size === 0) this.#byPair.delete(pair);
  }

  /**
   * Takes changed attributes of devices, as texts of their topic; undefined: none. Returns whether a device has other
   * rules now. Throws `invalid_message` for an invalid text.
   */
  setAttributes(changes: ReadonlyMap<string, string | undefined>): boolean {
    let hasChanged = false;
    for (const [device, text] of changes) {
      const before: readonly CompiledRule[] = hasChanged ? none : this.#selectedFor(device);
      this.devices.set(device, text);
      if (hasChanged) continue;
      const after = this.#selectedFor(device);
      hasChanged = after.length !== before.length || after.some((rule) => !before.includes(rule));
    }
    if (hasChanged) this.version++;
    return hasChanged;
  }

  /** Returns the rules that match a device and are enabled for it, each once. */
  of(device: string): readonly CompiledRule[] {
    if (isFloodDevice(device)) return this.#floodRulesOf(device);
    const ids = new Set<string>();
    this.#byPattern.match(device, (id) => ids.add(id));
    const selected = this.#selectedFor(device);
    if (ids.size === 0) return selected;
    const matching = [...ids].map((id) => this.#byId.get(id)!).filter((rule) => rule.matches(device));
    return selected.length === 0 ? matching : [...matching, ...selected];
  }

  #floodRulesOf(device: string): readonly CompiledRule[] {
    if (!this.#hasFloods) return none;
    const own = this.#byId.get(floodRuleId);
    // An area of other people keeps the built-in rule: one who may see a part of the areas decides about that part.
    const rule = own?.rule.devices.some((pattern) => patternMatches(pattern, device)) ? own : floodRule;
    return rule.matches(device) ? [rule] : none;
  }

  /** Returns those with `where`. */
  #selectedFor(device: string): readonly CompiledRule[] {
    if (this.#byPair.size === 0) return none;
    const attributes = this.devices.of(device);
    if (attributes === undefined) return none;
    const selected: CompiledRule[] = [];
    for (const pair of pairsOf(attributes)) {
      for (const id of this.#byPair.get(pair) ?? none) {
        const rule = this.#byId.get(id)!;
        if (rule.matches(device, attributes)) selected.push(rule);
      }
    }
    return selected;
  }
}

const none: readonly never[] = [];

/** Returns a pair that each selected device has. */
function pairOf({ labels = {}, kind }: RuleWhere): string {
  for (const [key, value] of Object.entries(labels)) return labelPair(key, value);
  return kindPair(kind ?? '');
}

function pairsOf({ kind, labels }: DeviceAttributes): readonly string[] {
  return [kindPair(kind), ...Object.entries(labels).map(([key, value]) => labelPair(key, value))];
}

const kindPair = (kind: string) => `kind\n${kind}`;
const labelPair = (key: string, value: string) => `label\n${key}\n${value}`;
