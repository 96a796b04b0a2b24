import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { projectRoot } from './services.ts';

const protoDirectory = join(projectRoot, 'proto');
const header = '// Generated from proto/ by scripts/generate.ts. Do not edit.\n';
const { resolve } = createRequire(import.meta.url);

function run(script: string, args: readonly string[]): string {
  return execFileSync(process.execPath, [resolve(script), ...args], {
    cwd: projectRoot,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** A folder of proto/, and the ES module that is generated from it. */
interface Module {
  readonly folder: string;
  /** Without extension. */
  readonly file: string;
  /** Name of the root among those of protobufjs, which all modules of a process share. */
  readonly root: string;
  /** Whether the values of 64-bit integers may be 2^53 or more: these are bigint. Otherwise they are rejected. */
  readonly wideIntegers: boolean;
}

const protocol: Module = {
  folder: 'tailrace/v1',
  file: 'packages/protocol/src/generated/tailrace',
  root: 'tailrace',
  wideIntegers: false,
};
/** Apart from the protocol, which browsers load. */
const sparkplug: Module = {
  folder: 'tailrace/sparkplug/v1',
  file: 'packages/sparkplug/src/generated/sparkplug',
  root: 'sparkplug',
  wideIntegers: true,
};

function protoFiles({ folder }: Module): readonly string[] {
  const directory = join(protoDirectory, folder);
  return readdirSync(directory)
    .filter((file) => file.endsWith('.proto'))
    .sort()
    .map((file) => join(directory, file));
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
function generatedJs(module: Module, files: readonly string[], outFile: string, comments: boolean): string {
  const leftOut = ['verify', 'convert', 'delimited', 'service', 'create', 'typeurl', ...(comments ? [] : ['comments'])];
  run('protobufjs-cli/bin/pbjs', [
    ...['--target', 'static-module', '--wrap', 'esm', '--root', module.root, '--path', protoDirectory],
    ...(module.wideIntegers ? [] : ['--force-number']),
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

/** Reads an unsigned 64-bit integer as a number, or as a bigint where a number cannot hold it exactly. */
const wideUint64Reader = `const $uint64 = (reader) => {
    let value = 0;
    const start = reader.pos;
    for (let scale = 1, count = 0; count < 10; ++count, scale *= 128) {
        if (reader.pos >= reader.len)
            throw $RangeError("index out of range");
        const byte = reader.buf[reader.pos++];
        value += (byte & 127) * scale;
        if (byte < 128)
            return value > 9007199254740991 ? $wideUint64(reader.buf, start, reader.pos) : value;
    }
    throw $Error("invalid varint encoding");
};

const $wideUint64 = (bytes, start, end) => {
    let value = 0n;
    for (let at = end - 1; at >= start; --at)
        value = value << 7n | BigInt(bytes[at] & 127);
    return BigInt.asUintN(64, value);
};

`;

/** Returns what the writer of protobufjs accepts as a 64-bit integer; it would write another bigint as 0. */
const wideUint64Writer = `const $bits = (value) => typeof value === "bigint"
    ? { low: Number(BigInt.asUintN(32, value)), high: Number(BigInt.asUintN(32, value >> 32n)) }
    : value;

`;

/**
 * pbjs honours --force-number in the types only: where the package `long` happens to be installed, its code decodes
 * 64-bit integers to Long objects and makes Long the default of absent ones. Here they are numbers, installed or not.
 */
function withNumbers(js: string, { wideIntegers }: Module): string {
  let text = replaced(js, 'reader.uint64()', '$uint64(reader)');
  text = text.replaceAll('$util.Long ? $util.Long.fromBits(0,0,true) : 0', '0');
  if (wideIntegers) text = text.replaceAll(/\.uint64\((message\.\w+)\)/g, '.uint64($bits($1))');
  const functions = wideIntegers ? wideUint64Reader + wideUint64Writer : uint64Reader;
  text = replaced(text, 'const $root =', `${functions}const $root =`);
  const left = /\$util\.Long|reader\.(u?int64|sint64|s?fixed64)\(/.exec(text);
  if (left !== null) throw new Error(`scripts/protobuf.ts: expected only known 64-bit readers, got ${left[0]}`);
  return text;
}

/**
 * Returns one ES module for each folder of proto/, with its types, by path. They depend only on the .proto files and
 * the versions in package-lock.json. Throws what `buf lint` finds.
 */
export function protobufFiles(): Record<string, string> {
  lint();
  return { ...moduleFiles(protocol), ...moduleFiles(sparkplug) };
}

function moduleFiles(module: Module): Record<string, string> {
  return inTemporaryDirectory((directory) => {
    const files = protoFiles(module);
    const commented = join(directory, 'commented.js');
    generatedJs(module, files, commented, true);
    const typesFile = join(directory, 'types.d.ts');
    run('protobufjs-cli/bin/pbts', ['--out', typesFile, commented]);
    const js = messagesJs(module, files, directory);
    const importLine = 'import * as $protobuf from "protobufjs";';
    const types = replaced(
      replaced(readFileSync(typesFile, 'utf8'), 'import Long = require("long");\n', ''),
      importLine,
      'import type $protobuf from "protobufjs/minimal.js";',
    );
    return {
      [`${module.file}.js`]: header + js,
      [`${module.file}.d.ts`]: header + (module.wideIntegers ? replaced(types, 'number|Long', 'number|bigint') : types),
    };
  });
}

/** Returns the ES module of the protocol with the messages of clients only, and those that they contain. */
export function clientMessagesJs(): string {
  const file = join(protoDirectory, 'tailrace/v1/client.proto');
  return inTemporaryDirectory((directory) => messagesJs(protocol, [file], directory));
}

function messagesJs(module: Module, files: readonly string[], directory: string): string {
  const js = withNumbers(generatedJs(module, files, join(directory, 'plain.js'), false), module);
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
