import crypto from 'k6/crypto';
import encoding from 'k6/encoding';
import type { Settings } from './settings.ts';

/** The token expires so long after the run, whatever the clocks. */
const marginMs = 3_600_000;

/** Returns the token of the settings, or signs one with the rights to publish and subscribe below the prefix only. */
export function tokenFor({ token, tokenSecret, prefix, durationMs, graceMs }: Settings, nowMs: number): string {
  if (token !== '') return token;
  const part = (fields: object) => encoding.b64encode(JSON.stringify(fields), 'rawurl');
  const all = [`${prefix}.>`];
  const exp = Math.ceil((nowMs + durationMs + graceMs + marginMs) / 1000);
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: 'loadtest', exp, publish: all, subscribe: all, command: all })}`;
  return `${signed}.${crypto.hmac('sha256', tokenSecret, signed, 'base64rawurl')}`;
}
