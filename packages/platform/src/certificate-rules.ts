import type { X509Certificate } from 'node:crypto';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { isDevicePath, tenantOf } from '@tailrace/protocol/path';
import type { ClientCertificate } from './client-certificate.ts';
import { refusal } from './credential-refusal.ts';
import { publishedBy } from './device-credentials.ts';
import type { Claims } from './token-claims.ts';

/** The part of a certificate that a rule reads. */
const fields = ['CN', 'OU', 'SAN:URI', 'SAN:DNS', 'serial'] as const;
type Field = (typeof fields)[number];

const rulesMax = 64;
const patternCharactersMax = 200;
const valueCharactersMax = 256;

interface Rule {
  readonly field: Field;
  /** Matches whole values. */
  readonly pattern: RegExp;
  /** A device path with `$1` to `$9` for groups of the pattern. */
  readonly device: string;
  readonly gateway: boolean;
}

/** Maps certificates to devices: the first rule that matches decides. */
export class CertificateRules {
  readonly #rules: readonly Rule[];
  /** Certificates of connections, as long as these are open. */
  readonly #claims = new WeakMap<ClientCertificate, Claims>();

  constructor(rules: readonly Rule[]) {
    this.#rules = rules;
  }

  /**
   * Returns the claims of a certificate, the same object at each call. Its validity and revocation are the caller's to
   * check. Throws `unauthorized` for one that the handshake has not verified, or that no rule maps to a device.
   */
  claimsOf(certificate: ClientCertificate): Claims {
    const known = this.#claims.get(certificate);
    if (known !== undefined) return known;
    const { x509, error } = certificate;
    if (error !== undefined)
      throw refusal(
        error === 'CERT_HAS_EXPIRED' ? 'expired' : 'invalid',
        `the client certificate of ${shown(nameOf(x509))} is not valid: ${error}`,
      );
    const claims = this.#mapped(x509);
    this.#claims.set(certificate, claims);
    return claims;
  }

  #mapped(x509: X509Certificate): Claims {
    for (const [index, rule] of this.#rules.entries()) {
      for (const value of valuesOf(x509, rule.field)) {
        const match = value.length <= valueCharactersMax ? rule.pattern.exec(value) : null;
        if (match === null) continue;
        const device = rule.device.replaceAll(/\$([1-9])/g, (_, group: string) => match[Number(group)] ?? '');
        if (isDevicePath(device)) return claimsFrom(x509, device, rule.gateway);
        throw refusal(
          'invalid',
          `rule ${index + 1} of certificateRules: expected a device path of the ${rule.field} ${shown(value)}, got ${shown(device)}`,
        );
      }
    }
    throw refusal('invalid', `no rule of certificateRules matches the client certificate of ${shown(nameOf(x509))}`);
  }
}

/**
 * Returns the rules of the setting `certificateRules`: a JSON array of objects with `field`, `pattern`, `device` and
 * optionally `gateway`; empty: no rule. Throws `invalid_config` with the number of the rule.
 */
export function certificateRulesFrom(text: string): CertificateRules {
  if (text === '') return new CertificateRules([]);
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    throw invalidRules(`expected a JSON array of rules, got ${shown(text)}`);
  }
  if (!Array.isArray(list) || list.length > rulesMax)
    throw invalidRules(`expected a JSON array of at most ${rulesMax} rules, got ${shown(list)}`);
  return new CertificateRules(list.map((rule, index) => ruleFrom(rule, `rule ${index + 1}`)));
}

function ruleFrom(value: unknown, name: string): Rule {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidRules(`${name}: expected an object, got ${shown(value)}`);
  const { field, pattern, device, gateway = false, ...others } = value as Record<string, unknown>;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined)
    throw invalidRules(`${name}: expected field, pattern, device and gateway, got ${shown(unknown)}`);
  if (!(fields as readonly unknown[]).includes(field))
    throw invalidRules(`${name}: field: expected one of ${fields.join(', ')}, got ${shown(field)}`);
  if (typeof gateway !== 'boolean')
    throw invalidRules(`${name}: gateway: expected true or false, got ${shown(gateway)}`);
  const expression = patternFrom(pattern, name);
  // A pattern that also matches nothing, so that the match has all groups.
  const groups = new RegExp(`${expression.source}|`).exec('')!.length - 1;
  const used = typeof device === 'string' ? [...device.matchAll(/\$([1-9])/g)].map(([, group]) => Number(group)) : [];
  if (typeof device !== 'string' || !isDevicePath(device.replaceAll(/\$[1-9]/g, 'x')) || Math.max(0, ...used) > groups)
    throw invalidRules(
      `${name}: device: expected a device path with $1 to $${groups} for groups of the pattern, got ${shown(device)}`,
    );
  return { field: field as Field, pattern: expression, device, gateway };
}

/** Returns an expression that matches whole values only: `press` must not match `other-press`. */
function patternFrom(pattern: unknown, name: string): RegExp {
  if (typeof pattern === 'string' && pattern !== '' && pattern.length <= patternCharactersMax) {
    try {
      // By itself first: `a)|(b` would be valid inside of the group.
      new RegExp(pattern);
      return new RegExp(`^(?:${pattern})$`);
    } catch {
      // The message is the same.
    }
  }
  throw invalidRules(
    `${name}: pattern: expected a regular expression of 1 to ${patternCharactersMax} characters, got ${shown(pattern)}`,
  );
}

function invalidRules(reason: string): TailraceError {
  return new TailraceError('invalid_config', `certificateRules: ${reason}`);
}

function claimsFrom(x509: X509Certificate, device: string, gateway: boolean): Claims {
  return Object.freeze({
    subject: `cert/${device}`,
    tokenId: `x5t/${x509.fingerprint256.replaceAll(':', '').toLowerCase()}`,
    tenant: tenantOf(device),
    publish: publishedBy({ device, gateway }),
    receiveCommands: publishedBy({ device, gateway }),
    subscribe: [],
    issuedAt: Date.parse(x509.validFrom),
    expiresAt: Date.parse(x509.validTo),
  });
}

/** Returns a name of the certificate for messages. */
function nameOf(x509: X509Certificate): string {
  return valuesOf(x509, 'CN')[0] ?? x509.subject ?? x509.serialNumber;
}

function valuesOf(x509: X509Certificate, field: Field): readonly string[] {
  switch (field) {
    case 'serial':
      return [x509.serialNumber];
    case 'CN':
    case 'OU': {
      const subject = x509.toLegacyObject().subject as unknown as Record<string, string | string[] | undefined>;
      const value = subject?.[field];
      return value === undefined ? [] : [value].flat();
    }
    case 'SAN:URI':
    case 'SAN:DNS':
      return alternativeNames(x509.subjectAltName ?? '', field.slice('SAN:'.length));
  }
}

/**
 * Returns the names of one type. Node.js writes `type:name, type:name`, and a name with a comma, a quote or a control
 * character as a JSON string, so that it cannot pass for several names.
 */
function alternativeNames(text: string, type: string): readonly string[] {
  const names: string[] = [];
  for (const [, found, quoted, plain] of text.matchAll(
    /(?:^|, )([A-Za-z ]+):(?:("(?:[^"\\]|\\.)*")|([^",]*))(?=, |$)/g,
  )) {
    if (found === type) names.push(quoted === undefined ? (plain ?? '') : (JSON.parse(quoted) as string));
  }
  return names;
}
