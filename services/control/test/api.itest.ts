import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import {
  type ControlFixture,
  commandBody,
  createControlFixture,
  type RunningControl,
  tokenOf,
} from './control-fixture.ts';

let fixture: ControlFixture;
let control: RunningControl;
let anna: string;

before(async () => {
  fixture = await createControlFixture();
  control = await fixture.start('c1', {
    routes: [
      (api) => {
        api.get(
          '/v1/example/:id',
          { schema: { params: z.object({ id: z.string() }), response: { 200: z.object({ by: z.string() }) } } },
          async (request) => ({ by: `${request.requester.subject} ${request.params.id}` }),
        );
      },
    ],
  });
  anna = await tokenOf('anna');
});

after(() => fixture.stop());

const codeOf = (body: unknown) => (body as { error: { code: string } }).error.code;

test('a part adds routes with schemas, and gets the requester', async () => {
  const { status, body } = await control.request(anna, 'GET', '/v1/example/7');
  assert.deepEqual({ status, body }, { status: 200, body: { by: 'anna 7' } });
});

test('a request without a valid token is refused with 401 and the reason', async () => {
  for (const [token, message] of [
    ['', /expected the header Authorization/],
    ['nonsense', /token/],
  ] as const) {
    const { status, body, headers } = await control.request(token, 'GET', '/v1/commands');
    assert.equal(status, 401);
    assert.equal(headers.get('www-authenticate'), 'Bearer');
    assert.equal(body.error.code, 'unauthorized');
    assert.match(body.error.message, message);
  }
});

test('a page of another origin may send requests, after a preflight without a token, and read the refusals', async () => {
  const origin = 'http://dashboard.example';
  const preflight = await fetch(`${control.url}/v1/scenes/away/run`, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
  });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get('access-control-allow-origin'), '*');
  assert.match(preflight.headers.get('access-control-allow-methods') ?? '', /POST/);
  assert.match(preflight.headers.get('access-control-allow-headers') ?? '', /Authorization, Content-Type/);
  const refused = await fetch(`${control.url}/v1/scenes`, { headers: { origin } });
  assert.deepEqual([refused.status, refused.headers.get('access-control-allow-origin')], [401, '*']);
  const listed = await fixture.start('c2', { settings: { origins: ['https://a.example'] } });
  const allowed = async (from: string) =>
    (await fetch(`${listed.url}/v1/scenes`, { headers: { origin: from } })).headers.get('access-control-allow-origin');
  assert.deepEqual(
    [await allowed('https://a.example'), await allowed('https://b.example')],
    ['https://a.example', null],
  );
});

test('an invalid body is refused with the field, what was expected, and what came', async () => {
  const { status, body } = await control.request(
    anna,
    'POST',
    '/v1/commands',
    commandBody({ device: 'a..b', extra: 1 }),
  );
  assert.equal(status, 400);
  assert.equal(body.error.code, 'invalid_message');
  assert.match(body.error.message, /device: expected a device path/);
  assert.match(body.error.message, /extra/);
});

test('text that is no JSON, an unknown path and a large body are errors in the same form', async () => {
  const headers = { authorization: `Bearer ${anna}`, 'content-type': 'application/json' };
  const noJson = await fetch(`${control.url}/v1/commands`, { method: 'POST', headers, body: '{' });
  assert.deepEqual([noJson.status, codeOf(await noJson.json())], [400, 'invalid_message']);
  const unknown = await control.request('', 'GET', '/v1/unknown');
  assert.deepEqual([unknown.status, unknown.body.error.code], [404, 'not_found']);
  const body = JSON.stringify({ text: 'x'.repeat(1_100_000) });
  const large = await fetch(`${control.url}/v1/commands`, { method: 'POST', headers, body });
  assert.deepEqual([large.status, codeOf(await large.json())], [413, 'too_large']);
});

test('the OpenAPI document has all routes, and its page needs no other server', async () => {
  const { status, body } = await control.request('', 'GET', '/v1/openapi.json');
  assert.equal(status, 200);
  assert.match(body.openapi, /^3\.1\./);
  for (const path of ['/v1/commands', '/v1/commands/{id}/cancel', '/v1/leases', '/v1/audit/verify', '/v1/example/{id}'])
    assert.ok(path in body.paths, path);
  const { responses } = body.paths['/v1/leases'].post;
  assert.ok('200' in responses && '422' in responses);
  const page = await control.request('', 'GET', '/v1/docs/');
  assert.equal(page.status, 200);
  assert.doesNotMatch(page.body, /(src|href)="https?:/);
  const script = await control.request('', 'GET', '/v1/docs/js/scalar.js');
  assert.equal(script.status, 200);
  assert.match(script.headers.get('content-type') ?? '', /javascript/);
});

test('a person without the right gets 403, which is in the audit', async () => {
  const { status, body } = await control.request(
    ...([await tokenOf('bob', { command: ['plant1.other'] }), 'POST', '/v1/commands', commandBody()] as const),
  );
  assert.deepEqual([status, body.error.code], [403, 'forbidden']);
  const auditor = await tokenOf('audit', { roles: ['auditor'] });
  const audit = await control.request(auditor, 'GET', '/v1/audit?subject=bob');
  const [entry] = audit.body.entries;
  assert.deepEqual(
    [entry.action, entry.target, entry.result, entry.details.code],
    [...['command.refused', 'plant1.press7', 'refused', 'forbidden']],
  );
  assert.equal(entry.address, '127.0.0.1');
  assert.equal((await control.request(anna, 'GET', '/v1/audit')).status, 403);
  const ofTenant = await tokenOf('audit', { roles: ['auditor'], tenant: 'plant1' });
  assert.equal((await control.request(ofTenant, 'GET', '/v1/audit')).status, 403);
});
