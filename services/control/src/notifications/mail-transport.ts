import { rootCertificates } from 'node:tls';
import { TailraceError } from '@tailrace/protocol/error';
import { createTransport } from 'nodemailer';
import type { MailContent } from './mail.ts';

/** Each step of the connection to the server: a server that does not answer delays only this target. */
const stepMs = 10_000;

export interface MailServer {
  /** smtp://host:25 (STARTTLS where the server has it) or smtps://host:465. */
  readonly url: string;
  /** '' for none. */
  readonly user: string;
  readonly password: string;
  /** Refuses a server without STARTTLS. */
  readonly requiresTls: boolean;
  /** The sender, as in alarms@plant.example. */
  readonly from: string;
  /** PEM of authorities besides those of Node.js; undefined: none. */
  readonly ca?: string | undefined;
}

/** Sends one message. */
export type SendMail = (to: readonly string[], content: MailContent) => Promise<void>;

/**
 * Returns what sends messages by SMTP, each on a connection of its own. Rejects with `invalid_message` where the server
 * refuses for good (5xx) and with `unavailable` for anything else. `connect`: of a test.
 */
export function createMailer(server: MailServer): SendMail {
  const { url, user, password, requiresTls, from, ca } = server;
  const { protocol, hostname, port } = new URL(url);
  const secure = protocol === 'smtps:';
  const transport = createTransport({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port) || (secure ? 465 : 25),
    secure,
    requireTLS: requiresTls,
    ...(user === '' ? {} : { auth: { user, pass: password } }),
    ...(ca === undefined ? {} : { tls: { ca: [...rootCertificates, ca] } }),
    connectionTimeout: stepMs,
    greetingTimeout: stepMs,
    socketTimeout: stepMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return async (to, { subject, text, headers, messageId }) => {
    try {
      await transport.sendMail({ from, to: [...to], subject, text, headers: { ...headers }, messageId });
    } catch (thrown) {
      const {
        responseCode = 0,
        response,
        code,
        message,
      } = thrown as Error & {
        responseCode?: number;
        response?: string;
        code?: string;
      };
      // Of the recipients or the message; a 5xx to STARTTLS or to the login is about this program.
      const isRefused = responseCode >= 500 && (code === 'EENVELOPE' || code === 'EMESSAGE');
      const reason = response ?? code ?? message;
      throw new TailraceError(
        isRefused ? 'invalid_message' : 'unavailable',
        `mail server: expected it to take the message, got ${reason}`,
        { cause: thrown },
      );
    }
  };
}
