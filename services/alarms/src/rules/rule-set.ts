import { PatternTrie } from '@tailrace/protocol/pattern-trie';
import type { CompiledRule } from '../evaluation/compiled-rule.ts';

/** The rules in force, found by device. */
export class RuleSet {
  /** Rises with each change. A device with an older one has to be updated. */
  version = 0;
  readonly #byId = new Map<string, CompiledRule>();
  readonly #byPattern = new PatternTrie<string>();

  get size(): number {
    return this.#byId.size;
  }

  /** Replaces the rules; the same object is the same rule. Returns whether one was added, removed or replaced. */
  replace(rules: ReadonlyMap<string, CompiledRule>): boolean {
    let hasChanged = false;
    for (const [id, compiled] of this.#byId) {
      if (rules.get(id) === compiled) continue;
      for (const pattern of compiled.rule.devices) this.#byPattern.delete(pattern, id);
      this.#byId.delete(id);
      hasChanged = true;
    }
    for (const [id, compiled] of rules) {
      if (this.#byId.has(id)) continue;
      this.#byId.set(id, compiled);
      for (const pattern of compiled.rule.devices) this.#byPattern.add(pattern, id);
      hasChanged = true;
    }
    if (hasChanged) this.version++;
    return hasChanged;
  }

  /** Returns the rules that match a device and are enabled for it, each once. */
  of(device: string): readonly CompiledRule[] {
    const ids = new Set<string>();
    this.#byPattern.match(device, (id) => ids.add(id));
    if (ids.size === 0) return none;
    return [...ids].map((id) => this.#byId.get(id)!).filter((rule) => rule.matches(device));
  }
}

const none: readonly CompiledRule[] = [];
