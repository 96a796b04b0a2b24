import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Attack } from '../attack-definition.ts';
import { post } from '../attack-post.ts';
import { AttackStream } from '../attack-stream.ts';

/** For the server to refuse a token, also on a busy machine and after the attack. */
const verdictMs = 5_000;
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const claims = () => ({ sub: 'x', publish: ['>'], subscribe: ['>'], exp: Math.ceil(Date.now() / 1000) + 3_600 });
const report = JSON.stringify({ device: 'b.line0.d0', readings: [{ tag: 'n', value: 1e9 }] });

/** Returns tokens that no issuer signed, made from a valid one. */
export function forgedTokens(valid: string): string[] {
  const [header, payload, signature] = valid.split('.') as [string, string, string];
  const mac = (head: unknown, key: string | Buffer, hash = 'sha256') => {
    const content = `${encode(head)}.${encode(claims())}`;
    return `${content}.${createHmac(hash, key).update(content).digest('base64url')}`;
  };
  const wide = encode({ ...JSON.parse(Buffer.from(payload, 'base64url').toString()), ...claims() });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' });
  const jwk = rsa.publicKey.export({ format: 'jwk' });
  const signed = (head: object) => {
    const content = `${encode(head)}.${encode(claims())}`;
    const key = 'alg' in head && head.alg === 'ES256' ? ec.privateKey : rsa.privateKey;
    const bytes = sign(
      'sha256',
      Buffer.from(content),
      key === ec.privateKey ? { key, dsaEncoding: 'ieee-p1363' } : key,
    );
    return `${content}.${bytes.toString('base64url')}`;
  };
  return [
    // No signature, that of another token, half of one, and one of another length.
    ...['none', 'None', 'NONE', 'nOnE', '', null, 0].map(
      (alg) => `${encode({ alg, typ: 'JWT' })}.${encode(claims())}.`,
    ),
    `${header}.${wide}.${signature}`,
    `${header}.${wide}.`,
    `${header}.${payload}.${signature.slice(0, 20)}`,
    `${header}.${payload}.${Buffer.alloc(32).toString('base64url')}`,
    `${encode({ alg: 'none' })}.${payload}.${signature}`,
    // Keys of careless installations.
    ...['', 'secret', 'password', 'changeme', 'tailrace', 'x'.repeat(32), '\0'.repeat(32)].map((key) =>
      mac({ alg: 'HS256' }, key),
    ),
    ...['sha384', 'sha512'].map((hash) => mac({ alg: hash === 'sha384' ? 'HS384' : 'HS512' }, 'secret', hash)),
    // A key in the token itself, or a reference to one.
    mac({ alg: 'HS256', jwk: { kty: 'oct', k: Buffer.from('secret').toString('base64url') } }, 'secret'),
    ...['jku', 'x5u', 'kid'].map((name) => mac({ alg: 'HS256', [name]: 'http://127.0.0.1:9/keys' }, 'secret')),
    ...['../../dev/null', "' OR 1=1 --", '/dev/null', '\0'].map((kid) => mac({ alg: 'HS256', kid }, '')),
    mac({ alg: 'HS256', crit: ['exp'] }, 'secret'),
    // Asymmetric: keys of the attacker, a public key used as a secret.
    ...['RS256', 'PS256', 'RS512'].map((alg) => signed({ alg })),
    signed({ alg: 'RS256', jwk }),
    signed({ alg: 'ES256' }),
    signed({ alg: 'ES256', jwk: ec.publicKey.export({ format: 'jwk' }) }),
    `${encode({ alg: 'ES256' })}.${encode(claims())}.${Buffer.alloc(64).toString('base64url')}`,
    mac({ alg: 'HS256' }, String(pem)),
    mac({ alg: 'RS256' }, String(pem)),
    // Encrypted, nested, doubled, and no token at all.
    `${header}.${payload}.${signature}.${signature}.${signature}`,
    `${header}.${payload}`,
    `${valid}.${valid}`,
    `${header}.${Buffer.from(`${JSON.stringify(claims())}{}`).toString('base64url')}.${signature}`,
    'x',
    '..',
    'a'.repeat(9_000),
  ];
}

/** Ingest and the streams accept only tokens that the issuer signed. */
export const forgedTokensAttack: Attack = {
  name: 'forged-tokens',
  words: '60 forged tokens, symmetric and asymmetric, to ingest and to the streams',
  targets: ['standalone', 'stack'],
  refusals: ['http 401 unauthorized', 'close 4401'],
  forbidden: ['a forged token was accepted'],
  async run(context) {
    while (!context.isExpired()) {
      for (const token of forgedTokens(context.token)) {
        const status = await post(context, report, { authorization: `Bearer ${token.replace(/[^\x21-\x7e]/g, '')}` });
        if (status === 202) context.counts.add('a forged token was accepted');
        const stream = await AttackStream.open(context, { token: token.replace(/[^\x21-\x7e]/g, '') });
        if (stream !== undefined) {
          stream.send({ subscribe: { id: 'a', channel: '>' } });
          await Promise.race([stream.closed, sleep(verdictMs, undefined, { ref: false })]);
          if (stream.subscribed > 0 || stream.isOpen) context.counts.add('a forged token was accepted');
          stream.terminate();
        }
        if (context.isExpired()) break;
      }
      await context.sleep(20);
    }
  },
};
