import { basename } from 'node:path';

/** One thing in the image. */
export interface Component {
  readonly ref: string;
  readonly type: 'application' | 'library' | 'platform' | 'operating-system';
  readonly name: string;
  readonly version: string;
  readonly license?: string;
  /** Of npm's lock: `sha512-<base64>`. */
  readonly integrity?: string;
  readonly dependsOn?: readonly string[];
}

/**
 * A software bill of materials, CycloneDX 1.5 as JSON (https://cyclonedx.org/docs/1.5/json/): what is in the image,
 * from the files that went into it, not from what a package.json wishes for. No time and no random serial number, so
 * that the same image has the same.
 */
export function sbomOf(root: Component, components: readonly Component[]): object {
  const all = [root, ...components];
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: { component: entryOf(root) },
    components: components.map(entryOf),
    dependencies: all
      .filter(({ dependsOn }) => dependsOn !== undefined)
      .map(({ ref, dependsOn }) => ({ ref, dependsOn: [...(dependsOn ?? [])].sort() })),
  };
}

/** As package URLs want it: https://github.com/package-url/purl-spec, type npm. */
export function npmUrl(name: string, version: string): string {
  return `pkg:npm/${name.replace('@', '%40')}@${encodeURIComponent(version)}`;
}

/** Of `dpkg-query -W -f '${Package} ${Version} ${Architecture}\n'`. */
export function debianComponents(listing: string): Component[] {
  return listing
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [name = '', version = '', arch = ''] = line.split(' ');
      const ref = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${arch}`;
      return { ref, type: 'library' as const, name, version };
    });
}

function entryOf({ ref, type, name, version, license, integrity }: Component): object {
  const [algorithm, hash] = integrity?.split('-', 2) ?? [];
  return {
    type,
    'bom-ref': ref,
    ...(name.startsWith('@') ? { group: name.split('/')[0], name: basename(name) } : { name }),
    version,
    ...(ref.startsWith('pkg:') && { purl: ref }),
    ...(license !== undefined && { licenses: [licenseOf(license)] }),
    ...(algorithm === 'sha512' &&
      hash !== undefined && { hashes: [{ alg: 'SHA-512', content: Buffer.from(hash, 'base64').toString('hex') }] }),
  };
}

/** An SPDX name, an expression of several, or words. */
function licenseOf(text: string): object {
  if (/ (OR|AND|WITH) /.test(text)) return { expression: text };
  return { license: /^[A-Za-z0-9.+-]+$/.test(text) ? { id: text } : { name: text } };
}
