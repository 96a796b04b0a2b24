/**
 * `node scripts/image/assemble.ts fanout /image`: lays out what the image of a service contains. deploy/Dockerfile runs
 * it where everything is installed. `/image/modules` has the packages of others, `/image/service` ours and `main.ts`,
 * `/image/sbom.cdx.json` lists all of it.
 */
import { execFileSync, spawnSync } from 'node:child_process';
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
import { type Installed, installedPackages, type Listed } from './installed.ts';
import { type Component, debianComponents, npmUrl, sbomOf } from './sbom.ts';
import { isSpare, isSpareOfProject } from './spare.ts';

const [service = '', image = ''] = process.argv.slice(2);
const root = `services/${service}`;
const runtime = { platform: process.platform, arch: process.arch, abi: process.versions.modules };
const main = mainOf(service);
const lock = read('package-lock.json') as { packages: Record<string, { version?: string; integrity?: string }> };
const installed = installedPackages(npmListing(), projectRoot, realpathSync);

for (const { folder, link: path } of installed.values()) {
  copy(folder);
  if (path !== undefined && folder !== root) link(path);
}
cpSync(join(projectRoot, 'package.json'), join(image, 'service', 'package.json'));
symlinkSync(main, join(image, 'service', 'main.ts'));
const settings = `deploy/image/${service}.json`;
if (existsSync(join(projectRoot, settings)))
  cpSync(join(projectRoot, settings), join(image, 'service', 'settings.json'));
else writeFileSync(join(image, 'service', 'settings.json'), '{}\n');
writeFileSync(join(image, 'sbom.cdx.json'), `${JSON.stringify(sbom(), undefined, 2)}\n`);

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

function link(path: string): void {
  const to = join(image, 'service', path);
  mkdirSync(dirname(to), { recursive: true });
  symlinkSync(readlinkSync(join(projectRoot, path)), to);
}

/** What npm finds that the service needs to run; development packages left out. */
function npmListing(): Listed {
  const args = ['ls', '--all', '--long', '--json', '--omit=dev', `--workspace=${root}`];
  const { stdout, stderr } = spawnSync('npm', args, {
    cwd: projectRoot,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (stdout.startsWith('{')) return JSON.parse(stdout) as Listed;
  throw new Error(`npm ls: expected a listing, got ${stderr}`);
}

function sbom(): object {
  const libraries = [...installed.values()].filter(({ folder }) => folder !== root).map(componentOf);
  const format = ['Package', 'Version', 'Architecture'].map((field) => `\${${field}}`).join(' ');
  const listing = execFileSync('dpkg-query', ['-W', '-f', `${format}\n`], { encoding: 'utf8' });
  const node = { ref: 'node', type: 'platform' as const, name: 'node', version: process.versions.node };
  return sbomOf(componentOf(installed.get(root)!), [...libraries, node, ...debianComponents(listing)]);
}

function componentOf(found: Installed): Component {
  const { folder, name, version, license, needs } = found;
  const locked = lock.packages[folder];
  return {
    ref: refOf(found),
    type: folder === root ? 'application' : 'library',
    name,
    version,
    ...(license !== undefined && { license }),
    // Another build of uWebSockets.js is not the one of the lock.
    ...(locked?.version === version && locked.integrity !== undefined && { integrity: locked.integrity }),
    dependsOn: [...needs].map((each) => refOf(installed.get(each)!)),
  };
}

function refOf({ folder, name, version }: Installed): string {
  // Ours are on no registry.
  return folder.startsWith('node_modules/') ? npmUrl(name, version) : `${name}@${version}`;
}

function read(path: string): unknown {
  return JSON.parse(readFileSync(join(projectRoot, path), 'utf8'));
}
