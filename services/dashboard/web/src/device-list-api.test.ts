import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ListServers, type PageAnswer } from './device-list-api.ts';

const page = { page: { devices: [] } };
const errorOf = (code: string): PageAnswer => ({ error: { code, message: code } });

test('the list of devices is requested from the next server where one is away, and from that one until it is away', async () => {
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
  assert.deepEqual(await servers.request(urls, request), errorOf('unavailable'), 'each is asked once');
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
