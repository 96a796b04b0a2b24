/**
 * Top-level folders of a package that no program needs. Deeper ones of the same names may be code, such as `dist/doc`
 * of yaml.
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
 * Types, sources of builds, source maps, texts. Node.js runs no TypeScript under node_modules.
 */
const spareFiles = /\.([cm]?tsx?|map|md|markdown|flow|tsbuildinfo|c|cc|cpp|h|hpp|gypi?)$/i;
/** License texts, which must be distributed; not code that is named after them, such as `license.d.ts`. */
const terms = /^(licen[cs]e|notice|copying|copyright)(?!.*\.([cm]?[jt]sx?|map)$)/i;
/** Builds of an addon for many platforms, as uWebSockets.js names them: `uws_linux_x64_127.node`. */
const platformBuild = /_(linux|darwin|win32|freebsd)_\w+?_\d+\.node$/;
/**
 * Builds for one platform, as prebuildify names them: `node.abi127.glibc.node`, or `node.napi.glibc.node` without one
 * for the ABI.
 */
const abiBuild = /^node\.(?:abi(\d+)|napi)\.(glibc|musl)\.node$/;
/** OpenTelemetry has each file three times; Node.js loads the one of build/src. */
const forBundlers = /\/@opentelemetry\/[^/]+\/build\/(esm|esnext)(\/|$)/;

/**
 * A second copy of protobufjs, for browsers (Node.js loads the one of src), the API of zod 3 within zod 4, zod, PGlite
 * and nodemailer as CommonJS, and csv-parse for browsers and as CommonJS.
 */
const secondCopies =
  /\/(?:protobufjs\/dist|zod\/v3|csv-parse\/dist|nodemailer\/dist\/cjs)\/|\/(?:zod|pglite)\/.*\.cjs$/;
/** Of PGlite, an extension that no migration uses. */
const unusedExtension = /\/pglite\/dist\/\w+\.tar\.gz$/;
/** Packages that only the page of the dashboard uses: its build has bundled them. */
const ofThePage = /\/node_modules\/(preact|uplot|@preact\/[^/]+|@tanstack\/[^/]+)\//;

/** Packages of TypeScript types, which some packages list among those that they need to run. */
const typesOnly = /\/node_modules\/(@types\/[^/]+|undici-types)$/;

/** PostgreSQL in process, which only standalone starts: the others connect to a server. */
const embeddedDatabase = /\/node_modules\/@electric-sql\/pglite$/;

/** Returns whether the package in this folder can be omitted from the image of a service as a whole. */
export function isSparePackage(path: string, service: string): boolean {
  return typesOnly.test(path) || (service !== 'standalone' && embeddedDatabase.test(path));
}

/** Selects the build of an addon that Node.js loads. */
export interface Runtime {
  readonly platform: string;
  readonly arch: string;
  /** process.versions.modules. */
  readonly abi: string;
}

/**
 * Returns whether a file of an npm package can be omitted from an image. `folder`: of the package, such as
 * `node_modules/zod`; `path`: within it, with `/`; `siblings`: the names in the same folder.
 */
export function isSpare(folder: string, path: string, siblings: readonly string[], runtime: Runtime): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  if (terms.test(name)) return false;
  const whole = `/${folder}/${path}`;
  if (spareFolders.has(path.split('/', 1)[0] ?? '') || forBundlers.test(whole) || secondCopies.test(whole)) return true;
  if (unusedExtension.test(whole)) return true;
  // Scanners read the name and version of the package from it.
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
 * The same for a package of the project: tests, types of generated code, and the sources of the dashboard's page.
 */
export function isSpareOfProject(path: string): boolean {
  return /^(test|web|node_modules)(\/|$)|\.test\.tsx?$|\.d\.ts$|\.md$/.test(path);
}
