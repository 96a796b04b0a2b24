import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { deviceCertificate, foreignCertificate } from '../test/device-certificates.ts';
import { createManualClock } from '../test/manual-clock.ts';
import { certificateRulesFrom } from './certificate-rules.ts';
import { type ClientCertificate, ForwardedCertificates, forwardedCertificate } from './client-certificate.ts';
import { CredentialVerifier } from './credentials.ts';
import { DeviceCredentials } from './device-credentials.ts';
import { createRevocationList } from './revocation.ts';
import { createTokenVerifier } from './token.ts';

/**
 * `deviceCertificate`: CN `press7`, OU `press hall` and `line3`, SAN `URI:urn:device:plant1.line3.press7`, a DNS name
 * with a comma that may pass for a second one, and serial 01AB.
 */
const presented = (error?: string): ClientCertificate => ({ x509: forwardedCertificate(deviceCertificate), error });

const fails = (code: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof TailraceError);
  assert.equal(error.code, code);
  assert.match(error.message, message);
  return true;
};

const rules = (...list: object[]) => certificateRulesFrom(JSON.stringify(list));
const mapped = (...list: object[]) => rules(...list).claimsOf(presented()).publish;

test('a rule maps each field of a certificate to a device', () => {
  assert.deepEqual(mapped({ field: 'CN', pattern: 'press(\\d+)', device: 'plant1.press-$1' }), ['plant1.press-7']);
  assert.deepEqual(mapped({ field: 'OU', pattern: 'line(\\d)', device: 'plant1.l$1' }), ['plant1.l3'], 'the second OU');
  assert.deepEqual(mapped({ field: 'serial', pattern: '0*([1-9A-F].*)', device: 'a.$1' }), ['a.1AB']);
  assert.deepEqual(mapped({ field: 'SAN:DNS', pattern: 'press7', device: 'a.b' }), ['a.b']);
  assert.deepEqual(mapped({ field: 'SAN:URI', pattern: 'urn:device:(.+)', device: '$1', gateway: true }), [
    'plant1.line3.press7',
    'plant1.line3.press7.>',
  ]);
});

test('the first rule that matches decides, and a pattern matches a whole value', () => {
  const first = { field: 'CN', pattern: 'press.', device: 'a.first' };
  const second = { field: 'CN', pattern: '.*', device: 'a.second' };
  assert.deepEqual(mapped(first, second), ['a.first']);
  assert.deepEqual(mapped({ ...first, pattern: 'press' }, second), ['a.second']);
  assert.deepEqual(mapped({ ...first, pattern: 'ress7|pres' }, second), ['a.second'], 'alternatives, too');
});

test('a name with a comma does not pass for several names', () => {
  const evil = { field: 'SAN:DNS', pattern: 'evil\\.example', device: 'a.evil' };
  assert.throws(() => mapped(evil), fails('unauthorized', /no rule of certificateRules matches .* of "press7"/));
  assert.deepEqual(mapped({ field: 'SAN:DNS', pattern: 'x, DNS:evil\\.example', device: 'a.b' }), ['a.b']);
});

test('the claims of a certificate can be revoked by its fingerprint or its subject, and expire with it', () => {
  const list = rules({ field: 'CN', pattern: '.*', device: 'plant1.a' });
  const certificate = presented();
  const claims = list.claimsOf(certificate);
  const { x509 } = certificate;
  assert.deepEqual(claims, {
    subject: 'cert/plant1.a',
    tokenId: `x5t/${x509.fingerprint256.replaceAll(':', '').toLowerCase()}`,
    tenant: 'plant1',
    publish: ['plant1.a'],
    receiveCommands: ['plant1.a'],
    subscribe: [],
    issuedAt: Date.parse(x509.validFrom),
    expiresAt: Date.parse(x509.validTo),
  });
  assert.equal(list.claimsOf(certificate), claims, 'the same object, by which grants are cached');
});

test('a certificate that the handshake has not verified is refused, whatever the rules', () => {
  const list = rules({ field: 'CN', pattern: '.*', device: 'a.b' });
  assert.throws(
    () => list.claimsOf(presented('UNABLE_TO_VERIFY_LEAF_SIGNATURE')),
    fails('unauthorized', /the client certificate of "press7" is not valid: UNABLE_TO_VERIFY_LEAF_SIGNATURE/),
  );
});

test('a value that makes no device path is refused with the rule and the value', () => {
  assert.throws(
    () => mapped({ field: 'OU', pattern: '(.*)', device: 'plant1.$1' }),
    fails(
      'unauthorized',
      /rule 1 of certificateRules: expected a device path of the OU "press hall", got "plant1.press hall"/,
    ),
  );
});

test('invalid rules are refused with the number of the rule and what was expected', () => {
  const good = { field: 'CN', pattern: 'a(b)', device: 'a.$1' };
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [{}, /certificateRules: expected a JSON array of at most 64 rules, got \{\}/],
    [Array.from({ length: 65 }, () => good), /at most 64 rules/],
    [[good, 7], /rule 2: expected an object, got 7/],
    [[{ ...good, field: 'cn' }], /rule 1: field: expected one of CN, OU, SAN:URI, SAN:DNS, serial, got "cn"/],
    [[{ ...good, name: 'x' }], /rule 1: expected field, pattern, device and gateway, got "name"/],
    [[{ ...good, gateway: 1 }], /rule 1: gateway: expected true or false, got 1/],
    [[{ ...good, pattern: '(' }], /rule 1: pattern: expected a regular expression of 1 to 200 characters, got "\("/],
    [[{ ...good, pattern: 'a)|(b' }], /rule 1: pattern:/],
    [[{ ...good, pattern: 'a'.repeat(201) }], /rule 1: pattern:/],
    [[{ ...good, device: 'a.$2' }], /rule 1: device: expected a device path with \$1 to \$1 for groups/],
    [[{ ...good, device: 'a..$1' }], /rule 1: device:/],
  ];
  for (const [list, message] of cases)
    assert.throws(() => certificateRulesFrom(JSON.stringify(list)), fails('invalid_config', message));
  assert.throws(
    () => certificateRulesFrom('[{'),
    fails('invalid_config', /expected a JSON array of rules, got "\[\{"/),
  );
  assert.throws(() => certificateRulesFrom('').claimsOf(presented()), { code: 'unauthorized' });
});

test('a proxy may pass a certificate in the forms of nginx, HAProxy, Traefik, RFC 9440 and Envoy', () => {
  const pem = `-----BEGIN CERTIFICATE-----\n${deviceCertificate}\n-----END CERTIFICATE-----\n`;
  const foreign = encodeURIComponent(`-----BEGIN CERTIFICATE-----\n${foreignCertificate}\n-----END CERTIFICATE-----\n`);
  for (const header of [
    encodeURIComponent(pem),
    deviceCertificate,
    encodeURIComponent(deviceCertificate),
    `:${deviceCertificate}:`,
    `Cert="${encodeURIComponent(pem)}"`,
    `By=spiffe://a/b;Hash=ab;Cert="${foreign}",Hash=cd;Subject="CN=x;y,z\\"";Cert="${encodeURIComponent(pem)}";URI=u`,
  ]) {
    assert.match(forwardedCertificate(header).subject, /CN=press7/, header.slice(0, 40));
  }
});

test('a header that is no certificate is refused, however it is truncated or changed', () => {
  const header = encodeURIComponent(`-----BEGIN CERTIFICATE-----\n${deviceCertificate}\n-----END CERTIFICATE-----\n`);
  let state = 11;
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const refused = (text: string) =>
    assert.throws(() => forwardedCertificate(text), fails('unauthorized', /expected PEM in percent-encoding, DER/));
  for (const text of ['x', '%', '%zz', ':', 'Cert=', 'Cert=""', 'Hash=ab', 'Cert="x",Hash=ab', '=;,"', 'AAAA'])
    refused(text);
  for (let count = 0; count < 300; count++) refused(header.slice(0, random(header.length - 200)));
  for (let count = 0; count < 300; count++) {
    const bytes = Array.from({ length: random(60) }, () => String.fromCharCode(32 + random(95)));
    refused(`Cert=${bytes.join('')}`);
  }
});

test('a header is parsed once, so that its claims are the same object at each request', () => {
  const certificates = new ForwardedCertificates();
  assert.equal(certificates.from(deviceCertificate), certificates.from(deviceCertificate));
  assert.equal(certificates.from(deviceCertificate).error, undefined);
  const first = certificates.from(deviceCertificate);
  for (let spaces = 1; spaces <= 1_024; spaces++) certificates.from(deviceCertificate + ' '.repeat(spaces));
  assert.notEqual(certificates.from(deviceCertificate), first, 'the oldest one was removed');
});

test('a certificate is accepted within its validity and the tolerance, unless a token or a revocation decides otherwise', async () => {
  const certificate = presented();
  const { x509 } = certificate;
  const fromMs = Date.parse(x509.validFrom);
  const toleranceMs = 5_000;
  const clock = createManualClock(fromMs - toleranceMs - 1);
  const revocations = createRevocationList({ clock });
  const credentials = new DeviceCredentials({ clock, revocations, entriesMax: 10 });
  const tokens = createTokenVerifier({ secret: 'a secret of the tests, long enough for HS256', clock });
  const common = { tokens, credentials, revocations, clock, clockToleranceMs: toleranceMs };
  const list = rules({ field: 'CN', pattern: '.*', device: 'plant1.a' });
  const verifier = new CredentialVerifier({ ...common, rules: list });
  const without = new CredentialVerifier(common);
  const token = undefined;
  const reject = (message: RegExp) =>
    assert.rejects(verifier.verify({ token, certificate }), fails('unauthorized', message));

  assert.equal(verifier.cached({ token, certificate }), undefined);
  await reject(/of "cert\/plant1.a" is not valid before /);
  clock.advance(1);
  assert.equal(verifier.cached({ token, certificate }), list.claimsOf(certificate));
  assert.equal(await verifier.verify({ token, certificate }), list.claimsOf(certificate));
  await assert.rejects(verifier.verify({ token: 'x.y.z', certificate }), fails('unauthorized', /the token "x.y.z"/));
  await assert.rejects(without.verify({ token, certificate }), fails('unauthorized', /there are no rules/));
  revocations.merge([{ subject: 'cert/plant1.a', issuedBefore: fromMs + 1 }]);
  assert.equal(verifier.cached({ token, certificate }), undefined);
  await reject(/was revoked; get a new one/);

  const late = createManualClock(Date.parse(x509.validTo) + toleranceMs - 1);
  const lateVerifier = new CredentialVerifier({
    ...common,
    revocations: createRevocationList({ clock: late }),
    clock: late,
    rules: list,
  });
  assert.ok(lateVerifier.cached({ token, certificate }));
  late.advance(1);
  assert.equal(lateVerifier.cached({ token, certificate }), undefined);
  await assert.rejects(
    lateVerifier.verify({ token, certificate }),
    fails('unauthorized', /expired at .*; get a new one/),
  );
});
