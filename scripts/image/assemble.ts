/**
 * `node scripts/image/assemble.ts fanout /image`: lays out what the image of a service has in it, run by
 * deploy/Dockerfile where everything is installed. `/image/modules` has the packages of others, `/image/service` ours
 * and `main.ts`, `/image/sbom.cdx.json` says what all that is.
 */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import process from 'node:process';
import { mainOf, projectRoot } from '../services.ts';
import { type Lock, neededFolders } from './lock.ts';
import { type Component, debianComponents, npmUrl, sbomOf } from './sbom.ts';
import { isSpare, isSpareOfOurs } from './spare.ts';

const [service = '', image = ''] = process.argv.slice(2);
const runtime = { platform: process.platform, arch: process.arch, abi: process.versions.modules };
const main = mainOf(service);
const lock = read('package-lock.json') as Lock;
const needed = neededFolders(lock, `services/${service}`, (folder) => existsSync(join(projectRoot, folder)));

for (const folder of needed.keys()) copy(folder);
cpSync(join(projectRoot, 'package.json'), join(image, 'service', 'package.json'));
symlinkSync(main, join(image, 'service', 'main.ts'));
const settings = `deploy/image/${service}.json`;
if (existsSync(join(projectRoot, settings)))
  cpSync(join(projectRoot, settings), join(image, 'service', 'settings.json'));
else writeFileSync(join(image, 'service', 'settings.json'), '{}\n');
writeFileSync(join(image, 'sbom.cdx.json'), `${JSON.stringify(sbom(), undefined, 2)}\n`);

function copy(folder: string): void {
  const from = join(projectRoot, folder);
  const isOurs = !folder.startsWith('node_modules/');
  if (lock.packages[folder]?.link) {
    link(folder);
    return;
  }
  const to = join(image, isOurs ? 'service' : 'modules', folder);
  const isWanted = (source: string) => {
    const path = relative(from, source);
    if (path === '') return true;
    if (path.split('/')[0] === 'node_modules') return false;
    return isOurs ? !isSpareOfOurs(path) : !isSpare(folder, path, readdirSync(dirname(source)), runtime);
  };
  cpSync(from, to, { recursive: true, verbatimSymlinks: true, filter: isWanted });
}

function link(path: string): void {
  const to = join(image, 'service', path);
  mkdirSync(dirname(to), { recursive: true });
  symlinkSync(readlinkSync(join(projectRoot, path)), to);
}

function sbom(): object {
  const components = [...needed].map(([folder, needs]) => ({ folder, component: componentOf(folder, needs) }));
  const root = components.find(({ folder }) => folder === `services/${service}`)?.component as Component;
  const format = ['Package', 'Version', 'Architecture'].map((field) => `\${${field}}`).join(' ');
  const listing = execFileSync('dpkg-query', ['-W', '-f', `${format}\n`], { encoding: 'utf8' });
  const node = { ref: 'node', type: 'platform' as const, name: 'node', version: process.versions.node };
  const libraries = components
    .filter(({ folder, component }) => component !== root && !lock.packages[folder]?.link)
    .map(({ component }) => component);
  return sbomOf(root, [...libraries, node, ...debianComponents(listing)]);
}

/** From the files themselves: another build of uWebSockets.js is not the one of the lock. */
function componentOf(folder: string, needs: readonly string[]): Component {
  const { name, version, license } = read(`${folder}/package.json`) as Component;
  const locked = lock.packages[folder];
  const isOurs = !folder.startsWith('node_modules/');
  return {
    ref: refOf(folder),
    type: folder === `services/${service}` ? 'application' : 'library',
    name,
    version,
    ...(typeof license === 'string' && { license }),
    ...(!isOurs && locked?.version === version && locked.integrity !== undefined && { integrity: locked.integrity }),
    dependsOn: needs.map(refOf),
  };
}

function refOf(folder: string): string {
  const target = lock.packages[folder]?.link ? (lock.packages[folder]?.resolved ?? folder) : folder;
  const { name, version } = read(`${target}/package.json`) as Component;
  // Ours are on no registry.
  return target.startsWith('node_modules/') ? npmUrl(name, version) : `${name}@${version}`;
}

function read(path: string): unknown {
  return JSON.parse(readFileSync(join(projectRoot, path), 'utf8'));
}
