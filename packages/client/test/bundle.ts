import { join } from 'node:path';
import { build, type Rolldown } from 'vite';

/** A minified ESM bundle for browsers, as an application's build makes it. */
export interface Bundle {
  readonly code: string;
  /** Files that contribute code. */
  readonly files: readonly string[];
}

const root = join(import.meta.dirname, '..');

/** Bundles a module. `entry`: its text, with the imports of an application. */
export async function bundle(
  entry: string,
  external: readonly string[] = [],
  mode: 'production' | 'development' = 'production',
): Promise<Bundle> {
  const result = await build({
    root,
    configFile: false,
    mode,
    logLevel: 'error',
    define: { 'process.env.NODE_ENV': JSON.stringify(mode) },
    build: {
      write: false,
      minify: mode === 'production',
      target: 'es2022',
      modulePreload: false,
      rolldownOptions: { input: 'entry', external: [...external], preserveEntrySignatures: 'strict' },
    },
    plugins: [
      {
        name: 'entry',
        resolveId: (source) => (source === 'entry' ? join(root, 'entry.tsx') : null),
        load: (source) => (source === join(root, 'entry.tsx') ? entry : null),
      },
    ],
  });
  const { output } = (Array.isArray(result) ? result[0] : result) as Rolldown.RolldownOutput;
  const chunk = output.find((part) => part.type === 'chunk');
  const files = Object.entries(chunk?.modules ?? {}).flatMap(([file, { code }]) => (code ? [file] : []));
  return { code: chunk?.code ?? '', files };
}
