import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { build, type Plugin, type Rolldown } from 'vite';
import { clientMessagesJs } from './protobuf.ts';
import { projectRoot } from './services.ts';

const k6Directory = 'loadtest/k6';
const source = `${k6Directory}/lib/protocol.ts`;
const header = `// Generated from ${source} by scripts/k6-bundle.ts. Do not edit.\n`;
const { resolve } = createRequire(import.meta.url);
const emptyModuleId = '\0empty';

/**
 * Each virtual user of k6 runs the whole bundle once. So it has the messages of clients only, and not the package
 * `long`, which protobufjs loads if it is there: 64-bit integers are numbers in the generated code.
 */
const clientMessagesOnly: Plugin = {
  name: 'tailrace:client-messages-only',
  enforce: 'pre',
  resolveId: (id) => (id === 'long' ? emptyModuleId : undefined),
  load(id) {
    if (id === emptyModuleId) return 'export {};';
    return id.endsWith('/packages/protocol/src/generated/tailrace.js') ? clientMessagesJs() : undefined;
  },
};

/**
 * Returns the protocol package as one ES module for k6, with its types, by path. k6 has neither npm packages nor Node's
 * APIs. It depends only on packages/protocol and the versions in package-lock.json.
 */
export async function k6BundleFiles(): Promise<Record<string, string>> {
  const built = (await build({
    root: projectRoot,
    configFile: false,
    logLevel: 'error',
    plugins: [clientMessagesOnly],
    build: {
      write: false,
      target: 'es2022',
      minify: false,
      lib: { entry: join(projectRoot, source), formats: ['es'], fileName: 'protocol' },
      rolldownOptions: { output: { comments: false } },
    },
  })) as Rolldown.RolldownOutput[];
  const chunk = built[0]!.output[0];
  return {
    [`${k6Directory}/generated/protocol.js`]: `${header}${license()}${chunk.code}`,
    [`${k6Directory}/generated/protocol.d.ts`]: `${header}export * from '../lib/protocol.ts';\n`,
  };
}

/** Returns the license of protobufjs, which the bundle contains, as a comment. */
function license(): string {
  const text = readFileSync(join(dirname(resolve('protobufjs/package.json')), 'LICENSE'), 'utf8').trim();
  return `/*\nIt contains protobufjs:\n\n${text}\n*/\n`;
}
