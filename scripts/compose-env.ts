/**
 * `node scripts/compose-env.ts`: prints what deploy/compose.yaml reads: a new secret, tokens signed with it for the
 * simulator, the edge gateway and users of the dashboard, and a password of PostgreSQL. The tokens are valid for 90
 * days; create the file again after that, with the former password.
 * For trials on one machine: a real installation has an issuer.
 */
import { randomBytes } from 'node:crypto';
import process from 'node:process';
import { systemClock } from '@tailrace/platform/clock';
import { issueToken } from '@tailrace/platform/token';

const days = 90;
const secret = randomBytes(48).toString('base64url');
const issue = (subject: string, publish: string[], subscribe: string[], receiveCommands: string[] = []) =>
  issueToken({
    secret,
    subject,
    publish,
    subscribe,
    receiveCommands,
    expiresInMs: days * 24 * 3_600_000,
    clock: systemClock,
  });

process.stdout.write(`# Secrets of this installation. Never commit it.
TAILRACE_TOKEN_SECRET=${secret}
TAILRACE_SIMULATOR_TOKEN=${await issue('simulator', ['plant1.>', 'home.>', 'host.>'], [], ['plant1.>', 'home.>'])}
TAILRACE_EDGE_TOKEN=${await issue('edge', ['plant1.edge1', 'plant1.utility.>'], [], ['plant1.edge1', 'plant1.utility.>'])}
TAILRACE_DASHBOARD_TOKEN=${await issue('dashboard', [], ['>'])}
TAILRACE_POSTGRES_PASSWORD=${randomBytes(24).toString('hex')}
`);
