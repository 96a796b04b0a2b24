import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { createTokenVerifier } from '@tailrace/platform/token';
import { chartFolder } from './chart.ts';

const secret = 'for-tests-only-for-tests-only-for-tests-only';

/** Signs a token as the pods of the chart do. */
function signed(claims: Record<string, unknown>): string {
  const script = readFileSync(join(chartFolder, 'files/token.mjs'), 'utf8');
  const program = `${script}\nprocess.stdout.write(signedToken(process.env.SECRET, JSON.parse(process.env.CLAIMS), 60));`;
  const env = { PATH: process.env['PATH'], SECRET: secret, CLAIMS: JSON.stringify(claims) };
  return execFileSync(process.execPath, ['--input-type=module', '--eval', program], { env, encoding: 'utf8' });
}

test('the services accept a token that a pod of the chart signs', async () => {
  const verifier = createTokenVerifier({ secret, issuer: 'plant', audience: 'tailrace' });
  const token = signed({ sub: 'simulator', iss: 'plant', aud: 'tailrace', publish: ['plant1.>'] });
  const claims = await verifier.verify(token);
  assert.equal(claims.subject, 'simulator');
  assert.deepEqual(claims.publish, ['plant1.>']);
});

test('an empty issuer and an empty audience are left out', async () => {
  const token = signed({ sub: 'dashboard', iss: '', aud: '', subscribe: ['>'] });
  const payload: unknown = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString());
  assert.deepEqual(Object.keys(payload as object).sort(), ['exp', 'iat', 'sub', 'subscribe']);
  await createTokenVerifier({ secret }).verify(token);
});
