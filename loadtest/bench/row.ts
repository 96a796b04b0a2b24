/** A line of the table. */
export interface Row {
  readonly what: string;
  readonly ours: string;
  readonly against: string;
  readonly result: string;
  readonly target: string;
  readonly met: boolean;
  /** The result as a number, in the unit that the result names, where something is worked out from it. */
  readonly value?: number;
}

/** Returns the rows as a table in Markdown. */
export function tableOf(rows: readonly Row[]): string {
  return [
    '| what | ours | against, in the same run | result | target | met |',
    '| --- | --- | --- | --- | --- | --- |',
    ...rows.map(
      (row) =>
        `| ${row.what} | ${row.ours} | ${row.against} | **${row.result}** | ${row.target} | ${row.met ? 'yes' : '**no**'} |`,
    ),
  ].join('\n');
}
