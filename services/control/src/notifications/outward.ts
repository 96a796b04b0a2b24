import { readFileSync } from 'node:fs';
import { shown, TailraceError } from '@tailrace/protocol/error';
import { createMailer, type SendMail } from './mail-transport.ts';
import type { NotificationSettings } from './notification-settings.ts';
import { OutwardAddresses } from './outward-address.ts';
import { createPost, type PostOutward } from './outward-request.ts';

/** Returns what sends to targets. Throws `invalid_config` for a file that cannot be read. */
export function outwardFrom(settings: NotificationSettings): {
  readonly addresses: OutwardAddresses;
  readonly post: PostOutward;
  readonly mail: SendMail | undefined;
} {
  const { notificationNetworks, notificationCaFile, mailUrl: url, mailFrom: from, mailUser: user } = settings;
  const ca = authoritiesFrom(notificationCaFile);
  const { mailPassword: password, mailTls: requiresTls } = settings;
  const addresses = new OutwardAddresses(notificationNetworks);
  return {
    addresses,
    post: createPost({ addresses, ca }),
    mail: url === '' ? undefined : createMailer({ url, user, password, requiresTls, from, ca }),
  };
}

function authoritiesFrom(file: string): string | undefined {
  if (file === '') return undefined;
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const { code = '' } = cause as NodeJS.ErrnoException;
    const message = `notificationCaFile: expected a PEM file, got ${shown(file)}: ${code}`;
    throw new TailraceError('invalid_config', message, { cause });
  }
}
