import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fetchDevicePage, ListServers, type PageAnswer, pageRequests } from './device-list-api.ts';

const page = { page: { devices: [] } };
const errorOf = (code: string): PageAnswer => ({ error: { code, message: code } });

test('the list of devices is requested from the next server where one is unavailable, and stays with that one', async () => {
  const servers = new ListServers();
  const asked: string[] = [];
  const away = new Set(['a']);
  const request = (url: string) => {
    asked.push(url);
    return Promise.resolve(away.has(url) ? errorOf('unavailable') : page);
  };
  const urls = ['a', 'b', 'c'];
  assert.equal(await servers.request(urls, request), page);
  assert.equal(await servers.request(urls, request), page);
  away.add('b').add('c');
  assert.deepEqual(await servers.request(urls, request), errorOf('unavailable'), 'each is requested once');
  assert.deepEqual(asked, ['a', 'b', 'b', 'b', 'c', 'a']);
});

test('a refusal is the answer of all servers', async () => {
  let asked = 0;
  const answer = await new ListServers().request(['a', 'b'], () => {
    asked++;
    return Promise.resolve(errorOf('forbidden'));
  });
  assert.deepEqual(answer, errorOf('forbidden'));
  assert.equal(asked, 1);
});

test('before the servers are known, and with an invalid URL, the list is unavailable', async () => {
  let config: { streamUrls: string[]; token: string } | undefined;
  const requestPage = pageRequests({ config: () => config, renewToken: async () => '' });
  const codeOf = async () => Object(Object(await requestPage(undefined, 0)).error).code;
  assert.equal(await codeOf(), 'unavailable');
  config = { streamUrls: ['no URL'], token: '' };
  assert.equal(await codeOf(), 'unavailable');
  assert.ok('error' in (await fetchDevicePage('', '', undefined, 0)));
});

test('where the token is refused the list is requested once more, with a fresh one that differs', async (t) => {
  for (const [fresh, expected] of [
    ['new', ['Bearer old', 'Bearer new']],
    ['old', ['Bearer old']],
  ] as const) {
    const tokens: (string | null)[] = [];
    t.mock.method(globalThis, 'fetch', async (_url: URL, { headers }: RequestInit) => {
      const token = new Headers(headers).get('authorization');
      tokens.push(token);
      return token === 'Bearer new'
        ? Response.json({ devices: [] })
        : Response.json({ error: { code: 'unauthorized', message: 'expired' } }, { status: 401 });
    });
    const requestPage = pageRequests({
      config: () => ({ streamUrls: ['ws://a'], token: 'old' }),
      renewToken: async () => fresh,
    });
    const answer = await requestPage(undefined, 0);
    assert.deepEqual(tokens, expected);
    assert.equal('page' in answer, fresh === 'new');
  }
});
