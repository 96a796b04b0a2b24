// Signs a token (HS256, docs/PROTOCOL.md "Tokens"). Runs in pods of the chart, on the Node.js of the image: for trials
// and for the chart's test.
import { createHmac } from 'node:crypto';

export function signedToken(secret, claims, lifeSeconds) {
  const nowSeconds = Math.floor(Date.now() / 1000);
  const filled = Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== ''));
  const payload = { ...filled, iat: nowSeconds, exp: nowSeconds + lifeSeconds };
  const encoded = (part) => Buffer.from(JSON.stringify(part)).toString('base64url');
  const content = `${encoded({ alg: 'HS256', typ: 'JWT' })}.${encoded(payload)}`;
  return `${content}.${createHmac('sha256', secret).update(content).digest('base64url')}`;
}
