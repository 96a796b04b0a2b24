import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { docker, imageSize } from '../../scripts/image/build.ts';
import { projectRoot, serviceNames } from '../../scripts/services.ts';
import { projectVersion } from '../../scripts/version-places.ts';
import {
  assertImagesReportsNoEngine,
  assertReadyWithin,
  hasEngine,
  type Readiness,
  readinessOf,
  restricted,
  stopContainer,
} from './engine.ts';
import { TestImages } from './test-images.ts';

/** Limit of the images of all services, as `make images` builds them: 229 MB are Debian and Node.js. */
const bytesMaxOfService = 255e6;
/** Of all services in one, with PostgreSQL in process. */
const bytesMaxOfStandalone = 290e6;
/** The first start creates a PostgreSQL in the process; page and readings are served before that. */
const readyMsMax = 15_000;
const stopMsMax = 4_000;
/** Starts at most: the best one counts, because the machine may be busy. */
const starts = 3;
const services = serviceNames();
const images = new TestImages();
const nameOf = (service: string) => images.nameOf(service);
const secret = 'a-secret-of-at-least-thirty-two-bytes';
/** What the gateway has no default for: its path, and the file with what it reads. */
const requiredOfEdge = [
  ...['-e', 'TAILRACE_EDGE_PATH=plant1.edge1'],
  ...['-v', `${join(projectRoot, 'deploy/edge/sources.json')}:/etc/tailrace/sources.json:ro`],
];
let isHere = false;

before(async () => {
  isHere = await hasEngine({ diagnostic: (text) => process.stdout.write(`# ${text}\n`) });
  if (!isHere) return;
  await images.use(services);
});

after(async () => {
  if (isHere) await images.release();
});

test('make images reports a missing Docker engine', assertImagesReportsNoEngine);

for (const service of services) {
  const bytesMax = service === 'standalone' ? bytesMaxOfStandalone : bytesMaxOfService;
  describe(`the image of ${service}`, () => {
    test(`has at most ${bytesMax / 1e6} MB`, async (t) => {
      if (!isHere) return;
      const size = await imageSize(nameOf(service));
      t.diagnostic(`${service}: ${(size / 1e6).toFixed(1)} MB`);
      assert.ok(size <= bytesMax, `${size} bytes`);
    });

    test('has labels, a user and an entry point', async () => {
      if (!isHere) return;
      const [found] = JSON.parse(await docker(['image', 'inspect', nameOf(service)])) as [
        { Config: { Labels: Record<string, string>; User: string; Entrypoint: string[] } },
      ];
      const { Labels: labels, User: user, Entrypoint: entry } = found.Config;
      assert.equal(labels['org.opencontainers.image.title'], `tailrace-${service}`);
      assert.equal(labels['org.opencontainers.image.version'], projectVersion(projectRoot));
      assert.equal(labels['org.opencontainers.image.licenses'], 'Apache-2.0');
      assert.match(labels['org.opencontainers.image.revision'] ?? '', /^([0-9a-f]{40}|)$/);
      assert.deepEqual([user, entry], ['1000:1000', ['node', '/app/main.ts']]);
    });

    test('contains only what the service needs, and runs without rights on a read-only root', async () => {
      if (!isHere) return;
      const [who = '', uws = '', list = ''] = (await inside(service, inspectCode)).split('\n--\n');
      assert.match(who, /^1000:1000\nCapEff:\s+0+\n.*Read-only file system\n.*Read-only file system$/);
      const files = list.split('\n');
      const ofUws = files.filter((file) => file.includes('/uWebSockets.js/') && file.endsWith('.node'));
      // The other services serve no WebSockets.
      assert.deepEqual(ofUws, ['fanout', 'standalone'].includes(service) ? [uws] : []);
      const unwanted = files.filter((file) => /\.test\.ts$|\.itest\.ts$|\.d\.[cm]?ts$|\.map$|\/testkit\//.test(file));
      assert.deepEqual(unwanted, []);
      const packages = new Set(
        files.map((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)\/package\.json$/.exec(file)?.[1]),
      );
      assert.deepEqual(
        developmentPackages().filter((name) => packages.has(name)),
        [],
      );
    });

    test('prints its settings with --check-config', async () => {
      if (!isHere) return;
      const env = takesSecret(service) ? ['-e', `TAILRACE_TOKEN_SECRET=${secret}`] : [];
      const required = service === 'edge' ? requiredOfEdge : [];
      const output = await docker([
        ...['run', '--rm', ...restricted, ...env, ...required, nameOf(service), '--check-config'],
      ]);
      assert.match(output, /internalPort/);
      assert.ok(!output.includes(secret), output);
    });
  });
}

test('the image of control has its migrations, and its command to apply them', async () => {
  if (!isHere) return;
  const listed = (await inside('control', 'ls /app/services/control/migrations')).trim().split('\n');
  assert.deepEqual(listed, globSync('*.sql', { cwd: join(projectRoot, 'services/control/migrations') }).sort());
  const settings = await docker(['run', '--rm', ...restricted, nameOf('control'), 'migrate', '--check-config']);
  assert.match(settings, /databaseUrl/);
  const away = ['-e', 'TAILRACE_DATABASE_URL=postgres://tailrace@127.0.0.1:1/tailrace'];
  const failed = docker(['run', '--rm', ...restricted, ...away, nameOf('control'), 'migrate']);
  await assert.rejects(failed, { message: /the store cannot be migrated/ });
});

test('the SBOM in an image lists the packages in it, with their versions', async () => {
  if (!isHere) return;
  const sbom = JSON.parse(await inside('fanout', 'cat /app/sbom.cdx.json')) as {
    readonly bomFormat: string;
    readonly components: readonly { readonly 'bom-ref': string }[];
  };
  assert.equal(sbom.bomFormat, 'CycloneDX');
  const installed = (await inside('fanout', `cd /app && node -e '${listPackages}'`)).split('\n');
  assert.ok(installed.length > 20, `${installed.length} packages: the test proves little`);
  assert.deepEqual(sbom.components.map((component) => component['bom-ref']).sort(), [...new Set(installed)].sort());
});

test(`standalone is ready within ${readyMsMax} ms of its start, and exits with 0 within ${stopMsMax} ms of SIGTERM`, async (t) => {
  if (!isHere) return;
  const readiness: Readiness[] = [];
  let stopMs = Number.POSITIVE_INFINITY;
  while (readiness.length < starts && !(readiness.some(({ wallMs }) => wallMs <= readyMsMax) && stopMs <= stopMsMax)) {
    const args = ['run', '-d', ...restricted, '--tmpfs=/data:uid=1000,gid=1000', nameOf('standalone')];
    const id = (await docker(args)).trim();
    readiness.push(
      await readinessOf(id).finally(async () => {
        const stopped = await stopContainer(id);
        assert.equal(stopped.code, 0, stopped.log);
        stopMs = Math.min(stopMs, stopped.tookMs);
      }),
    );
  }
  t.diagnostic(
    `ready after ${readiness.map(({ wallMs, cpuMs }) => `${wallMs} ms (${cpuMs} of a processor)`).join(', ')}, stopped after ${stopMs} ms`,
  );
  assertReadyWithin(readyMsMax, readiness);
  assert.ok(stopMs <= stopMsMax, `${stopMs} ms`);
});

/** Prints the user and attempts to write; the build of uWebSockets.js that is loaded; all files. */
const inspectCode = [
  'echo $(id -u):$(id -g); grep CapEff /proc/self/status; touch /app/x 2>&1; touch /tmp/x 2>&1; echo --; cd /app',
  'node -p \'require("uWebSockets.js"); Object.keys(require.cache).find((file) => file.endsWith(".node")).replace("/app/", "./")\'',
  'echo --; find . -type f -o -type l',
].join('; ');

/** Prints each package in an image as `name@version`. */
const listPackages = `
for (const file of require("fs").globSync("{node_modules,packages,services}/**/package.json")) {
  const { name, version } = JSON.parse(require("fs").readFileSync(file));
  if (name && version) console.log(name + "@" + version);
}`;

async function inside(service: string, script: string): Promise<string> {
  return (await docker(['run', '--rm', ...restricted, '--entrypoint=sh', nameOf(service), '-c', script])).trim();
}

function takesSecret(service: string): boolean {
  const config = globSync(`services/${service}/{src,server}/config.ts`, { cwd: projectRoot })[0];
  return (
    config !== undefined && /token(Settings|Secret)|keySettings/.test(readFileSync(join(projectRoot, config), 'utf8'))
  );
}

/** package-lock.json: packages by their place. */
interface Lock {
  readonly packages: Readonly<
    Record<string, { readonly dev?: boolean; readonly devOptional?: boolean; readonly optional?: boolean }>
  >;
}

/** Returns the packages that are for development only, and the Node.js that npm installs. */
function developmentPackages(): string[] {
  const manifests = globSync('{.,packages/*,services/*}/package.json', { cwd: projectRoot }).map(
    (file) =>
      JSON.parse(readFileSync(join(projectRoot, file), 'utf8')) as Record<string, Record<string, string> | undefined>,
  );
  const namesIn = (key: string) => manifests.flatMap((manifest) => Object.keys(manifest[key] ?? {}));
  const toRun = new Set(namesIn('dependencies'));
  const { packages } = JSON.parse(readFileSync(join(projectRoot, 'package-lock.json'), 'utf8')) as Lock;
  // A package that runs may depend on one of them, such as @fastify/swagger on yaml.
  const isNeeded = (name: string) => {
    const { dev, devOptional, optional } = packages[`node_modules/${name}`] ?? { dev: true };
    return !(dev || devOptional || optional);
  };
  return [...namesIn('devDependencies'), ...namesIn('optionalDependencies')].filter(
    (name) => !toRun.has(name) && !isNeeded(name),
  );
}
