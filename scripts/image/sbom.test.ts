import assert from 'node:assert/strict';
import { test } from 'node:test';
import { debianComponents, npmUrl, sbomOf } from './sbom.ts';

test('a bill of materials says of each thing what, which and under which terms', () => {
  const root = { ref: 'a@1', type: 'application' as const, name: '@t/a', version: '1', dependsOn: ['y', 'x'] };
  const ref = npmUrl('@s/p', '1.0.0+b');
  const library = {
    ref,
    type: 'library' as const,
    name: '@s/p',
    version: '1.0.0+b',
    license: 'MIT',
    integrity: 'sha512-AQI=',
  };
  const bill = sbomOf(root, [library]);
  assert.deepEqual(bill, {
    bomFormat: 'CycloneDX',
    specVersion: '1.5',
    version: 1,
    metadata: { component: { type: 'application', 'bom-ref': 'a@1', group: '@t', name: 'a', version: '1' } },
    components: [
      {
        type: 'library',
        'bom-ref': 'pkg:npm/%40s/p@1.0.0%2Bb',
        group: '@s',
        name: 'p',
        version: '1.0.0+b',
        purl: 'pkg:npm/%40s/p@1.0.0%2Bb',
        licenses: [{ license: { id: 'MIT' } }],
        hashes: [{ alg: 'SHA-512', content: '0102' }],
      },
    ],
    dependencies: [{ ref: 'a@1', dependsOn: ['x', 'y'] }],
  });
});

test('terms are an SPDX name, an expression, or words', () => {
  const licenses = (license: string) => {
    const bill = sbomOf({ ref: 'r', type: 'library', name: 'r', version: '1', license }, []) as {
      metadata: { component: { licenses: unknown } };
    };
    return bill.metadata.component.licenses;
  };
  assert.deepEqual(licenses('(MIT OR Apache-2.0)'), [{ expression: '(MIT OR Apache-2.0)' }]);
  assert.deepEqual(licenses('SEE LICENSE IN x'), [{ license: { name: 'SEE LICENSE IN x' } }]);
});

test('packages of Debian have their address too', () => {
  assert.deepEqual(debianComponents('libc6 2.36-9+deb12u10 amd64\n'), [
    {
      ref: 'pkg:deb/debian/libc6@2.36-9%2Bdeb12u10?arch=amd64',
      type: 'library',
      name: 'libc6',
      version: '2.36-9+deb12u10',
    },
  ]);
});
