import { plainText } from '@tailrace/rules/plain-text';
import { z } from 'zod';
import { isWebhookSecret } from './webhook.ts';

/** HTTP or HTTPS, without user and password, which logs and errors would show. */
const httpUrl = z
  .string()
  .max(2_048)
  .refine(isHttpUrl, 'expected a URL with http or https, without a user and a fragment');

const address = z
  .string()
  .max(254)
  .regex(/^[^\s@<>,;:"()[\]\\]+@[^\s@<>,;:"()[\]\\]+$/, 'expected an address as in shift@plant.example');

const common = { name: plainText(200).default(''), isEnabled: z.boolean().default(true) };

/** Where notifications go. */
export const targetSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    ...common,
    kind: z.literal('webhook'),
    url: httpUrl,
    secrets: z
      .array(z.string().refine(isWebhookSecret, 'expected whsec_ and 24 to 64 bytes in base64'))
      .min(1)
      .max(2)
      .describe('The present secret first; the former one while the receiver changes.'),
  }),
  z.strictObject({
    ...common,
    kind: z.literal('alertmanager'),
    url: httpUrl.describe('Of the server, before /api/v2/alerts.'),
    authorization: plainText(8_192).default('').describe('The header Authorization; empty: none.'),
  }),
  z.strictObject({
    ...common,
    kind: z.literal('email'),
    to: z.array(address).min(1).max(50),
  }),
]);

export type TargetSettings = Readonly<z.output<typeof targetSchema>>;
export type TargetKind = TargetSettings['kind'];
export type Target = TargetSettings & { readonly id: string };

/** Returns the settings as people may see them: without secrets. */
export function shownTarget(settings: TargetSettings): object {
  if (settings.kind === 'webhook') return { ...settings, secrets: settings.secrets.map(() => 'whsec_…') };
  if (settings.kind === 'alertmanager') return { ...settings, authorization: settings.authorization && '…' };
  return settings;
}

function isHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, hash, hostname } = new URL(text);
  return /^https?:$/.test(protocol) && username + password + hash === '' && hostname !== '';
}
