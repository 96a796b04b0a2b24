import { createHash } from 'node:crypto';
import type { ConnectRequest } from '@tailrace/mqtt/connect-request';
import type { Claims } from '@tailrace/platform/token';
import { identityOf } from '@tailrace/platform/token-identity';
import { isDevicePath, pathFromMqttTopic, tenantOf } from '@tailrace/protocol/path';
import type { AuthRequest, SessionIdentity } from '../devices/authentication.ts';
import type { Grant } from '../intake/record-from.ts';

/**
 * Returns the `auth` of a CONNECT. The password is the token; a client certificate counts without one.
 *
 * The device of the session is the user name, if it is a device path of several segments, with `.` or `/` between them;
 * then the client ID, if it is one that the token covers. Otherwise the client is a gateway without a device of its
 * own: its session counts by its client ID.
 */
export function authFrom(
  { userName, clientId, password }: ConnectRequest,
  accepts: (claims: Claims) => boolean,
): AuthRequest {
  return {
    device: pathFrom(userName ?? '') ?? '',
    token: password?.toString() ?? '',
    time: 0,
    nonce: '',
    challenge: '',
    keyId: '',
    signature: '',
    instance: '',
    identify: (claims, grant) => identify(clientId, claims, grant),
    accepts,
  };
}

function identify(clientId: string, claims: Claims, grant: Grant): SessionIdentity {
  const path = pathFrom(clientId);
  if (path !== undefined && grant.allowsDevice(path)) return { device: path, isGateway: false };
  const [pattern = ''] = claims.publish;
  const first = claims.tenant ?? tenantOf(pattern);
  const tenant = isDevicePath(first) ? first : '_';
  // With the identity: no other sender can take over the session by the client ID.
  const hash = createHash('sha256')
    .update(`${identityOf(claims)}\n${clientId}`)
    .digest('base64url')
    .slice(0, 22);
  return { device: `${tenant}.mqtt-client.${hash}`, isGateway: true };
}

/** Returns the device path of a name; undefined for a name that is none, or has one segment alone. */
function pathFrom(name: string): string | undefined {
  if (name.includes('.')) return isDevicePath(name) ? name : undefined;
  if (!name.includes('/')) return undefined;
  try {
    return pathFromMqttTopic(name);
  } catch {
    return undefined;
  }
}
