/**
 * Folders at the top of a package that no program runs. Deeper ones of the same names may be code, as `dist/doc` of
 * yaml is.
 */
const spareFolders = new Set([
  '.github',
  'bench',
  'benchmark',
  'benchmarks',
  'coverage',
  'docs',
  'example',
  'examples',
  'test',
  'tests',
  '__tests__',
]);
/**
 * Types, sources from which something was built, maps to them, texts. Node.js runs no TypeScript under node_modules.
 */
const spareFiles = /\.([cm]?tsx?|map|md|markdown|flow|tsbuildinfo|c|cc|cpp|h|hpp|gypi?)$/i;
/** Terms under which we may hand it on. */
const terms = /^(licen[cs]e|notice|copying|copyright)/i;
/** Builds of an addon for many platforms, as uWebSockets.js names them: `uws_linux_x64_127.node`. */
const platformBuild = /_(linux|darwin|win32|freebsd)_\w+?_\d+\.node$/;
/**
 * Builds for one platform, as prebuildify names them: `node.abi127.glibc.node`, and `node.napi.glibc.node` where there
 * is none for the ABI.
 */
const abiBuild = /^node\.(?:abi(\d+)|napi)\.(glibc|musl)\.node$/;
/** OpenTelemetry has each file three times; Node.js takes the one of build/src. */
const forBundlers = /\/@opentelemetry\/[^/]+\/build\/(esm|esnext)(\/|$)/;

/**
 * A second copy of protobufjs, for browsers (Node.js takes the one of src), the API of zod 3 within zod 4, and zod as
 * CommonJS.
 */
const secondCopies = /\/(?:protobufjs\/dist|zod\/v3)\/|\/zod\/.*\.cjs$/;
/** Packages that only the page of the dashboard uses: its build has put them into the files of the page. */
const ofThePage = /\/node_modules\/(preact|uplot|@preact\/[^/]+|@tanstack\/[^/]+)\//;

/** Which of its builds of an addon Node.js loads. */
export interface Runtime {
  readonly platform: string;
  readonly arch: string;
  /** process.versions.modules. */
  readonly abi: string;
}

/**
 * Whether a file of a package of others can be left out of an image. `folder` is the package's, as in
 * `node_modules/zod`, `path` within it with `/`, `siblings` the names in the same folder.
 */
export function isSpare(folder: string, path: string, siblings: readonly string[], runtime: Runtime): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (terms.test(name)) return false;
  const whole = `/${folder}/${path}`;
  if (spareFolders.has(path.split('/', 1)[0] ?? '') || forBundlers.test(whole) || secondCopies.test(whole)) return true;
  // What says which package it is stays, for the list of what is in the image.
  if (ofThePage.test(whole)) return path !== 'package.json';
  return name.endsWith('.node') ? isSpareAddon(name, siblings, runtime) : spareFiles.test(name);
}

function isSpareAddon(name: string, siblings: readonly string[], { platform, arch, abi }: Runtime): boolean {
  if (platformBuild.test(name)) return !name.endsWith(`_${platform}_${arch}_${abi}.node`);
  const [, builtFor, libc] = abiBuild.exec(name) ?? [];
  if (libc === undefined) return false;
  // Images are built on Debian.
  if (libc === 'musl') return true;
  return builtFor === undefined ? siblings.includes(`node.abi${abi}.${libc}.node`) : builtFor !== abi;
}

/**
 * The same for a package of ours: tests, types of what was generated, and of the dashboard what its page was built
 * from.
 */
export function isSpareOfOurs(path: string): boolean {
  return /^(test|web|node_modules)(\/|$)|\.test\.tsx?$|\.d\.ts$|\.md$/.test(path);
}
