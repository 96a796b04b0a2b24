import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestServer } from '@tailrace/client/testing';

test('the newest temperature is kept, over a reconnect, too', async () => {
  const server = createTestServer();
  const stream = server.stream(); // or createStream with url, WebSocket and clock of the server
  let newest: unknown;
  stream.subscribe('plant1.press7', {
    onReports: (reports) => {
      newest = reports.at(-1)?.readings[0]?.value;
    },
  });
  await server.settled();

  server.publish('plant1.press7', { temperature: 42.5 });
  await server.settled();
  assert.equal(newest, 42.5);

  server.drop();
  server.publish('plant1.press7', { temperature: 43 });
  await server.clock.advance(1000);
  assert.equal(newest, 43);
  stream.close();
});
