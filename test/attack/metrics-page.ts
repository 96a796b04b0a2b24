/** The page `/metrics` of a process. */
export class MetricsPage {
  readonly #lines: readonly string[];

  constructor(text: string) {
    this.#lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  }

  /** Returns the sum of all series of a name; 0 without any. */
  sum(name: string): number {
    return this.#lines
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      .reduce((total, line) => total + Number(line.split(' ').at(-1)), 0);
  }

  get seriesCount(): number {
    return this.#lines.length;
  }
}

/** Rejects where the process does not answer within 5 s. */
export async function fetchMetrics(internalPort: number): Promise<MetricsPage> {
  const answer = await fetch(`http://127.0.0.1:${internalPort}/metrics`, { signal: AbortSignal.timeout(5_000) });
  return new MetricsPage(await answer.text());
}
