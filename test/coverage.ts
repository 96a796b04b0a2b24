import { fileURLToPath } from 'node:url';

/** Number of calls of functions, by `file#name:offset`. */
export type Calls = ReadonlyMap<string, number>;

/** Counts calls in a process that runs with `--inspect`. */
export interface Coverage {
  /** Returns the calls since the last `take`, of files for which `wants` is true. */
  take(): Promise<Calls>;
  close(): void;
}

interface Profile {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly {
      readonly functionName: string;
      readonly ranges: readonly { readonly startOffset: number; readonly count: number }[];
    }[];
  }[];
}

/**
 * Connects to the inspector at `url` and starts V8's precise coverage (Chrome DevTools Protocol, domain Profiler).
 * A function without a name is named by its place in the file.
 */
export async function startCoverage(url: string, wants: (file: string) => boolean): Promise<Coverage> {
  const socket = new WebSocket(url);
  const waiting = new Map<number, (result: unknown) => void>();
  let lastId = 0;
  socket.onmessage = ({ data }) => {
    const { id, result } = JSON.parse(String(data)) as { id?: number; result?: unknown };
    if (id !== undefined) waiting.get(id)?.(result);
  };
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = reject;
  });
  const send = (method: string, params = {}) =>
    new Promise<unknown>((resolve) => {
      lastId += 1;
      waiting.set(lastId, resolve);
      socket.send(JSON.stringify({ id: lastId, method, params }));
    });
  await send('Profiler.enable');
  await send('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  return {
    async take() {
      const { result } = (await send('Profiler.takePreciseCoverage')) as Profile;
      const calls = new Map<string, number>();
      for (const { url: script, functions } of result) {
        if (!script.startsWith('file:')) continue;
        const file = fileURLToPath(script);
        if (!wants(file)) continue;
        for (const { functionName, ranges } of functions) {
          const { startOffset, count } = ranges[0]!;
          // The function at the start is the module itself.
          if (startOffset > 0 && count > 0) calls.set(`${file}#${functionName}:${startOffset}`, count);
        }
      }
      return calls;
    },
    close: () => socket.close(),
  };
}
