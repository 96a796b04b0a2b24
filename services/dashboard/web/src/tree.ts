/** A line of the list: the name of a group, or a device below it. */
export type Row =
  | { readonly kind: 'group'; readonly path: string; readonly count: number }
  | { readonly kind: 'device'; readonly path: string; readonly name: string };

const byName = new Intl.Collator('en', { numeric: true });

/** Orders device paths segment by segment, numbers by value: `line2` before `line10`, a group's own devices together. */
export function comparePaths(a: string, b: string): number {
  const left = a.split('.');
  const right = b.split('.');
  for (let index = 0; index < Math.min(left.length, right.length); index++) {
    const order = byName.compare(left[index]!, right[index]!);
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

/** The group a device is listed under: its path without the last segment. */
export function groupOf(path: string): string {
  const end = path.lastIndexOf('.');
  return end === -1 ? '' : path.slice(0, end);
}

/** Whether each word of the search is somewhere in the path. */
export function isFound(path: string, search: string): boolean {
  const lower = path.toLowerCase();
  return search
    .toLowerCase()
    .split(/\s+/)
    .every((word) => lower.includes(word));
}

/** The list: devices by group, those found only. */
export function rowsFrom(paths: readonly string[], search: string): Row[] {
  const groups = new Map<string, string[]>();
  for (const path of paths) {
    if (!isFound(path, search)) continue;
    const group = groupOf(path);
    const members = groups.get(group);
    if (members === undefined) groups.set(group, [path]);
    else members.push(path);
  }
  const rows: Row[] = [];
  for (const [group, members] of [...groups].sort(([a], [b]) => comparePaths(a, b))) {
    rows.push({ kind: 'group', path: group, count: members.length });
    for (const path of members.sort(comparePaths))
      rows.push({ kind: 'device', path, name: path.slice(group === '' ? 0 : group.length + 1) });
  }
  return rows;
}
