/**
 * `node scripts/image/assemble.ts fanout /image`: lays out the files of a service's image. deploy/Dockerfile runs it
 * after the install. `/image/modules` gets the packages of npm, `/image/service` those of the project and `main.ts`.
 */
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import process from 'node:process';
import { mainOf, projectRoot } from '../services.ts';
import { isSpare, isSpareOfProject } from './spare.ts';

const [service = '', image = ''] = process.argv.slice(2);
const runtime = { platform: process.platform, arch: process.arch, abi: process.versions.modules };
const main = mainOf(service);

for (const path of packagePaths()) {
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

/**
 * Returns the folders of the packages that the service needs to run, as npm lists them. Exits where one is missing.
 * Another build of uWebSockets.js is invalid to npm, and accepted.
 */
function packagePaths(): string[] {
  const args = ['ls', '--all', '--parseable', '--omit=dev', '--loglevel=error', `--workspace=services/${service}`];
  const { stdout, stderr } = spawnSync('npm', args, { cwd: projectRoot, encoding: 'utf8' });
  const paths = stdout.split('\n').filter((path) => path !== '' && path !== projectRoot);
  if (paths.length > 0 && !stderr.includes('missing:')) return paths;
  process.stderr.write(`npm ls: expected all packages, got ${stderr}: run npm ci -w services\n`);
  process.exit(1);
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
