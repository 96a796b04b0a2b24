import { readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { projectRoot } from './services.ts';

/** One import or re-export of a file. */
export interface Import {
  readonly file: string;
  /** As written. */
  readonly from: string;
  readonly typeOnly: boolean;
}

/** Returns the static and dynamic imports of a file, as its text has them. */
export function importsOf(file: string): Import[] {
  const text = readFileSync(join(projectRoot, file), 'utf8');
  const found: Import[] = [];
  for (const match of text.matchAll(/^\s*(?:import|export)\s+(type\s+)?[^'"`;]*?from\s+['"]([^'"]+)['"]/gm)) {
    found.push({ file, from: match[2]!, typeOnly: match[1] !== undefined });
  }
  for (const match of text.matchAll(/(?:^\s*import\s+|\bimport\(\s*)['"]([^'"]+)['"]/gm)) {
    found.push({ file, from: match[1]!, typeOnly: false });
  }
  return found;
}

/** Returns the path of a relative import from the root, and undefined for a package. */
export function relativeTarget({ file, from }: Import): string | undefined {
  return from.startsWith('.') ? posix.join(dirname(file), from) : undefined;
}

/**
 * Returns the import cycles: each set of files that reach each other by relative imports, imports of types included.
 * Packages cannot form one: the import rules order them.
 *
 * They are the strongly connected components (R. Tarjan, "Depth-first search and linear graph algorithms", 1972).
 */
export function importCycles(imports: readonly Import[]): string[][] {
  const targets = new Map<string, Set<string>>();
  for (const each of imports) {
    const target = relativeTarget(each);
    if (target !== undefined) targets.set(each.file, (targets.get(each.file) ?? new Set()).add(target));
  }
  const order = new Map<string, number>();
  const stack: string[] = [];
  const cycles: string[][] = [];
  /** Returns the earliest file on the stack that `file` reaches. */
  const visit = (file: string): number => {
    const own = order.size;
    order.set(file, own);
    stack.push(file);
    let lowest = own;
    for (const target of targets.get(file) ?? []) {
      if (!order.has(target)) lowest = Math.min(lowest, visit(target));
      else if (stack.includes(target)) lowest = Math.min(lowest, order.get(target)!);
    }
    if (lowest === own) {
      const component = stack.splice(stack.indexOf(file));
      if (component.length > 1 || targets.get(file)?.has(file)) cycles.push(component.sort());
    }
    return lowest;
  };
  for (const file of targets.keys()) if (!order.has(file)) visit(file);
  return cycles;
}
