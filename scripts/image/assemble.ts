/**
 * `node scripts/image/assemble.ts fanout /image`: lays out the files of a service's image. deploy/Dockerfile runs it
 * after the install. `/image/modules` gets the packages of npm. `/image/service` gets those of the project, `main.ts`,
 * and `sbom.cdx.json`: the SBOM of all these packages.
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import process from 'node:process';
import { mainOf, projectRoot } from '../services.ts';
import { isSpare, isSpareOfProject, isSparePackage } from './spare.ts';

interface Component {
  readonly 'bom-ref': string;
  readonly type: string;
  readonly name: string;
  readonly version: string;
}

/** A CycloneDX document as npm writes it. */
interface Sbom {
  readonly $schema: string;
  readonly bomFormat: string;
  readonly specVersion: string;
  readonly version: number;
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string }[];
}

const [service = '', image = ''] = process.argv.slice(2);
const runtime = { platform: process.platform, arch: process.arch, abi: process.versions.modules };
const main = mainOf(service);

const paths = packagePaths();
for (const path of paths) {
  const folder = relative(projectRoot, realpathSync(path));
  copy(folder);
  const link = relative(projectRoot, path);
  if (link !== folder && folder !== `services/${service}`) copyLink(link);
}
cpSync(join(projectRoot, 'package.json'), join(image, 'service', 'package.json'));
symlinkSync(main, join(image, 'service', 'main.ts'));
const settings = join(projectRoot, `deploy/image/${service}.json`);
if (existsSync(settings)) cpSync(settings, join(image, 'service', 'settings.json'));
else writeFileSync(join(image, 'service', 'settings.json'), '{}\n');
writeFileSync(join(image, 'service', 'sbom.cdx.json'), `${JSON.stringify(sbom(), undefined, 2)}\n`);

/**
 * Returns the folders of the packages that the service needs to run, as npm lists them. Exits where one is missing.
 * Another build of uWebSockets.js is invalid to npm, and accepted.
 */
function packagePaths(): string[] {
  const { stdout, stderr } = npm(['ls', '--all', '--parseable']);
  const listed = stdout.split('\n').filter((path) => path !== '' && path !== projectRoot);
  if (listed.length > 0 && !stderr.includes('missing:')) return listed.filter((path) => !isSparePackage(path, service));
  process.stderr.write(`npm ls: expected all packages, got ${stderr}: run npm ci -w services\n`);
  process.exit(1);
}

/**
 * Returns npm's SBOM (CycloneDX 1.5), reduced to the packages in the image: npm also lists those of other platforms,
 * and of tests. Without the time and the random serial number, so that the same image has the same SBOM.
 */
function sbom(): object {
  const { stdout, stderr } = npm(['sbom', '--sbom-format=cyclonedx', '--package-lock-only']);
  if (stdout === '') {
    process.stderr.write(`npm sbom: expected a document, got ${stderr}\n`);
    process.exit(1);
  }
  const { $schema, bomFormat, specVersion, version, components, dependencies } = JSON.parse(stdout) as Sbom;
  const byRef = new Map(components.map((component) => [component['bom-ref'], component]));
  const included = new Map<string, Component>();
  for (const path of paths) {
    const { name, version } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8')) as Component;
    const ref = `${name}@${version}`;
    // Not in the lock file: another build of uWebSockets.js.
    included.set(ref, byRef.get(ref) ?? { 'bom-ref': ref, type: 'library', name, version });
  }
  return {
    $schema,
    bomFormat,
    specVersion,
    version,
    components: [...included.values()],
    dependencies: dependencies.filter(({ ref }) => included.has(ref)),
  };
}

function npm(args: readonly string[]) {
  const options = ['--omit=dev', '--loglevel=error', `--workspace=services/${service}`];
  return spawnSync('npm', [...args, ...options], { cwd: projectRoot, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
}

function copy(folder: string): void {
  const from = join(projectRoot, folder);
  const isOfProject = !folder.startsWith('node_modules/');
  const to = join(image, isOfProject ? 'service' : 'modules', folder);
  const isWanted = (source: string) => {
    const path = relative(from, source);
    if (path === '') return true;
    if (path.split('/')[0] === 'node_modules') return false;
    return isOfProject ? !isSpareOfProject(path) : !isSpare(folder, path, readdirSync(dirname(source)), runtime);
  };
  cpSync(from, to, { recursive: true, verbatimSymlinks: true, filter: isWanted });
}

function copyLink(path: string): void {
  const to = join(image, 'service', path);
  mkdirSync(dirname(to), { recursive: true });
  symlinkSync(readlinkSync(join(projectRoot, path)), to);
}
