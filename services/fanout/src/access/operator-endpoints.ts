import type { CommandSwitchState } from '@tailrace/eventlog/control-record';
import { bearerToken } from '@tailrace/platform/bearer-token';
import type { Logger } from '@tailrace/platform/logger';
import type { RevocationEntry, Revocations } from '@tailrace/platform/revocation';
import type { Claims } from '@tailrace/platform/token';
import { TailraceError } from '@tailrace/protocol/error';
import { answerOf } from '../endpoint.ts';
import type { EndpointMetrics, EndpointName } from '../endpoint-metrics.ts';
import type { Route } from '../transport.ts';
import { assertFields, assertOperator, type Body, bodyBytesMax, bodyFrom, textOf, timeOf } from './operator-request.ts';
import type { Operators } from './operators.ts';

export interface OperatorEndpointsOptions {
  readonly operators: Operators;
  readonly revocations: Pick<Revocations, 'entries'>;
  /** Returns the state of the command switch; undefined if commands were never turned off. */
  readonly commandSwitch: () => CommandSwitchState | undefined;
  readonly verify: (token: string) => Promise<Claims>;
  /** Number of nodes whose announcements arrive, this one included. */
  readonly nodes: () => number;
  readonly logger: Logger;
  readonly endpoints: EndpointMetrics;
}

/**
 * `/v1/revocations`, `/v1/notice` and `/v1/command-switch`. They need a token with the role `operator` and without a
 * tenant, because they affect all tenants. The token is read from `Authorization: Bearer` only: a page of
 * another origin cannot make a browser send that (CSRF).
 */
export function operatorRoutes(options: OperatorEndpointsOptions): readonly Route[] {
  const { operators, revocations, commandSwitch, nodes, logger, endpoints } = options;
  const post = (endpoint: EndpointName, call: (body: Body, by: string) => Promise<void>): Route => ({
    method: 'POST',
    path: `/v1/${endpoint}`,
    answer(request) {
      const token = bearerToken(request.header('authorization'));
      return answerOf(logger, 202, endpoints.start(endpoint), async () => {
        const body = await request.body(bodyBytesMax);
        const { subject } = await assertOperator(token, options.verify);
        await call(bodyFrom(body), subject);
        return { nodes: nodes() };
      });
    },
  });
  const get = (endpoint: EndpointName, answer: () => object): Route => ({
    method: 'GET',
    path: `/v1/${endpoint}`,
    answer(request) {
      const token = bearerToken(request.header('authorization'));
      return answerOf(logger, 200, endpoints.start(endpoint), async () => {
        await assertOperator(token, options.verify);
        return answer();
      });
    },
  });
  return [
    post('revocations', async (body) => operators.revoke(revocationFrom(body))),
    post('notice', async (body) => {
      assertFields(body, ['severity', 'message']);
      await operators.notify(textOf(body, 'severity', 'info'), textOf(body, 'message'));
    }),
    post('command-switch', async (body, by) => {
      assertFields(body, ['commands', 'reason']);
      await operators.switchCommands(textOf(body, 'commands'), textOf(body, 'reason', ''), by);
    }),
    get('revocations', () => ({ revocations: revocations.entries() })),
    get('command-switch', () => switchAnswer(commandSwitch())),
  ];
}

function switchAnswer(state: CommandSwitchState | undefined): object {
  if (state === undefined) return { commands: 'on' };
  const { isOff, reason, by, time } = state;
  return { commands: isOff ? 'off' : 'on', reason, by, time };
}

/** Throws `invalid_message`: a revocation of something else than the operator meant is worse than none. */
function revocationFrom(body: Body): RevocationEntry {
  const ofToken = 'tokenId' in body;
  if (ofToken === 'subject' in body)
    throw new TailraceError(
      'invalid_message',
      'expected {"tokenId":"…"} for one token, or {"subject":"…","issuedBefore":<epoch ms>} for all tokens of a subject issued before a time',
    );
  assertFields(body, ofToken ? ['tokenId', 'expiresAt'] : ['subject', 'issuedBefore', 'expiresAt']);
  const end = body['expiresAt'] === undefined ? {} : { expiresAt: timeOf(body, 'expiresAt') };
  if (ofToken) return { tokenId: textOf(body, 'tokenId'), ...end };
  return { subject: textOf(body, 'subject'), issuedBefore: timeOf(body, 'issuedBefore'), ...end };
}
