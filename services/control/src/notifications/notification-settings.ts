import { z } from 'zod';
import { isNetwork } from './outward-address.ts';

/** Settings of notifications: what an operator decides, while engineers decide on targets and routes. */
export const notificationSettings = {
  notificationNetworks: z
    .array(z.string().max(64).refine(isNetwork, 'expected an address or a network, as in 127.0.0.1 or 10.0.0.0/8'))
    .max(100)
    .default([])
    .describe(
      'Addresses and networks that webhooks and Alertmanagers may have although they are of this machine or its link (loopback, link-local, multicast): others of these are refused.',
    ),
  notificationCaFile: z
    .string()
    .max(4_096)
    .default('')
    .describe('PEM file with the authorities of webhooks, Alertmanagers and the mail server; empty: the public ones.'),
  mailUrl: z
    .string()
    .max(2_048)
    .regex(/^(smtps?:\/\/[^/@?#\s]+)?$/, 'expected smtp://host:port or smtps://host:port, without a user')
    .default('')
    .describe('Mail server for notifications: smtp:// (STARTTLS if it has it) or smtps://. Empty: no mail is sent.'),
  mailFrom: z
    .string()
    .max(254)
    .regex(/^([^\s@<>]+@[^\s@<>]+)?$/, 'expected an address as in alarms@plant.example')
    .default('')
    .describe('Sender of the messages. Required with mailUrl.'),
  mailUser: z.string().max(256).default('').describe('User at the mail server; empty: none.'),
  mailPassword: z.string().max(1_024).default('').meta({ secret: true }).describe('Its password.'),
  mailTls: z.boolean().default(true).describe('Sends nothing to a server of smtp:// without STARTTLS.'),
};

export type NotificationSettings = Readonly<z.output<z.ZodObject<typeof notificationSettings>>>;

/** Adds an error for each contradiction. */
export function notificationRules(
  { mailUrl, mailFrom, mailUser, mailPassword }: NotificationSettings,
  context: Pick<z.core.$RefinementCtx, 'addIssue'>,
): void {
  const expect = (isValid: boolean, key: string, message: string) => {
    if (!isValid) context.addIssue({ code: 'custom', path: [key], message });
  };
  expect(mailUrl === '' || mailFrom !== '', 'mailFrom', 'expected an address with mailUrl, got none');
  expect(
    mailUrl !== '' || mailFrom + mailUser + mailPassword === '',
    'mailUrl',
    'expected it with mailFrom and mailUser',
  );
  expect((mailUser === '') === (mailPassword === ''), 'mailPassword', 'expected mailUser and mailPassword together');
}
