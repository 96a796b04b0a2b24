import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { projectRoot } from './services.ts';

const protoDirectory = join(projectRoot, 'proto');
const generatedDirectory = 'packages/protocol/src/generated';
const header = '// Generated from proto/ by scripts/generate.ts. Do not edit.\n';
const { resolve } = createRequire(import.meta.url);

function run(script: string, args: readonly string[]): string {
  return execFileSync(process.execPath, [resolve(script), ...args], {
    cwd: projectRoot,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function protoFiles(): readonly string[] {
  return readdirSync(protoDirectory, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.proto'))
    .sort()
    .map((file) => join(protoDirectory, file));
}

function inTemporaryDirectory<T>(run: (directory: string) => T): T {
  const directory = mkdtempSync(join(tmpdir(), 'tailrace-generate-'));
  try {
    return run(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/**
 * Returns the text of the module. pbts needs the comments that pbjs writes; the product is generated without them.
 */
function generatedJs(files: readonly string[], outFile: string, comments: boolean): string {
  const leftOut = ['verify', 'convert', 'delimited', 'service', 'create', 'typeurl', ...(comments ? [] : ['comments'])];
  run('protobufjs-cli/bin/pbjs', [
    ...['--target', 'static-module', '--wrap', 'esm', '--root', 'tailrace', '--force-number', '--path', protoDirectory],
    ...leftOut.map((part) => `--no-${part}`),
    ...['--out', outFile, ...files],
  ]);
  return readFileSync(outFile, 'utf8');
}

/** Replaces a text that must exist: a new version of the generator may write another. */
function replaced(text: string, from: string, to: string): string {
  if (!text.includes(from)) {
    throw new Error(
      `scripts/protobuf.ts: expected ${JSON.stringify(from)} in the generated code, which another version may not have`,
    );
  }
  return text.replaceAll(from, to);
}

/** Reads an unsigned 64-bit integer as a number, and refuses what a number cannot hold exactly. */
const uint64Reader = `const $uint64 = (reader) => {
    let value = 0;
    for (let scale = 1, count = 0; count < 10; ++count, scale *= 128) {
        if (reader.pos >= reader.len)
            throw $RangeError("index out of range");
        const byte = reader.buf[reader.pos++];
        value += (byte & 127) * scale;
        if (byte < 128) {
            if (value > 9007199254740991)
                throw $RangeError("64-bit integer over 2^53 - 1");
            return value;
        }
    }
    throw $Error("invalid varint encoding");
};

`;

/**
 * pbjs honours --force-number in the types only: where the package `long` happens to be installed, its code decodes
 * 64-bit integers to Long objects and makes Long the default of absent ones. Here they are numbers, installed or not.
 */
function withNumbers(js: string): string {
  let text = replaced(js, 'reader.uint64()', '$uint64(reader)');
  text = replaced(text, '$util.Long ? $util.Long.fromBits(0,0,true) : 0', '0');
  text = replaced(text, 'const $root =', `${uint64Reader}const $root =`);
  const left = /\$util\.Long|reader\.(u?int64|sint64|s?fixed64)\(/.exec(text);
  if (left !== null) throw new Error(`scripts/protobuf.ts: expected only known 64-bit readers, got ${left[0]}`);
  return text;
}

/**
 * Returns one ES module for all of proto/, with its types, by path. It depends only on the .proto files and the
 * versions in package-lock.json. Throws what `buf lint` finds.
 */
export function protobufFiles(): Record<string, string> {
  lint();
  return inTemporaryDirectory((directory) => {
    const files = protoFiles();
    const commented = join(directory, 'tailrace.js');
    generatedJs(files, commented, true);
    const typesFile = join(directory, 'tailrace.d.ts');
    run('protobufjs-cli/bin/pbts', ['--out', typesFile, commented]);
    const js = messagesJs(files, directory);
    const importLine = 'import * as $protobuf from "protobufjs";';
    const types = replaced(
      replaced(readFileSync(typesFile, 'utf8'), 'import Long = require("long");\n', ''),
      importLine,
      'import type $protobuf from "protobufjs/minimal.js";',
    );
    return {
      [`${generatedDirectory}/tailrace.js`]: header + js,
      [`${generatedDirectory}/tailrace.d.ts`]: header + types,
    };
  });
}

/** Returns the ES module of `protobufFiles` with the messages of clients only, and those that they contain. */
export function clientMessagesJs(): string {
  const file = join(protoDirectory, 'tailrace/v1/client.proto');
  return inTemporaryDirectory((directory) => messagesJs([file], directory));
}

function messagesJs(files: readonly string[], directory: string): string {
  const js = withNumbers(generatedJs(files, join(directory, 'plain.js'), false));
  // protobufjs is CommonJS: only its default import works in Node.js and in every bundler. `minimal` omits reflection.
  if (!js.includes('import $protobuf from "protobufjs/minimal.js";'))
    throw new Error('pbjs no longer imports as expected');
  return js;
}

function lint(): void {
  try {
    run('@bufbuild/buf/bin/buf', ['lint', protoDirectory]);
  } catch (error) {
    throw new Error(`buf lint proto:\n${(error as { stdout?: string }).stdout ?? String(error)}`, { cause: error });
  }
}
