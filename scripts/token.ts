/**
 * `make token`: signs a token with the shared secret in TAILRACE_TOKEN_SECRET and prints it. For operators and trials
 * with HS256; other installations have an issuer. `--subscribe 'plant1.>'`, `--publish`, `--command`, `--role operator`
 * (each any number of times), `--subject`, `--id`, `--tenant`, `--hours`.
 */
import process from 'node:process';
import { parseArgs } from 'node:util';
import { systemClock } from '@tailrace/platform/clock';
import { issueToken } from '@tailrace/platform/token';
import { isTailraceError } from '@tailrace/protocol/error';

const several = { type: 'string', multiple: true, default: [] as string[] } as const;
const { values } = parseArgs({
  options: {
    subject: { type: 'string', default: 'operator' },
    publish: several,
    subscribe: several,
    command: several,
    role: several,
    id: { type: 'string' },
    tenant: { type: 'string' },
    hours: { type: 'string', default: '1' },
  },
});
const hours = Number(values.hours);
try {
  if (!(hours > 0 && hours <= 24 * 366)) fail(`--hours: expected a number above 0, at most 8784, got ${values.hours}`);
  if ([values.publish, values.subscribe, values.command, values.role].every((rights) => rights.length === 0)) {
    fail(
      "expected at least one of --subscribe, --publish, --command and --role (SUBSCRIBE='plant1.>' of make token), got none",
    );
  }
  const secret = process.env['TAILRACE_TOKEN_SECRET'] ?? '';
  if (secret === '') {
    fail(
      'TAILRACE_TOKEN_SECRET: expected the shared secret of the installation, got none; make demo has it in data/demo/key',
    );
  }
  const token = await issueToken({
    secret,
    subject: values.subject,
    publish: values.publish,
    subscribe: values.subscribe,
    ...(values.command.length > 0 && { command: values.command }),
    ...(values.role.length > 0 && { roles: values.role }),
    ...(values.id !== undefined && { tokenId: values.id }),
    ...(values.tenant !== undefined && { tenant: values.tenant }),
    expiresInMs: hours * 3_600_000,
    clock: systemClock,
  });
  process.stdout.write(`${token}\n`);
} catch (thrown) {
  fail(isTailraceError(thrown) ? thrown.message : String(thrown));
}

function fail(sentence: string): never {
  process.stderr.write(`token: ${sentence}\n`);
  process.exit(1);
}
