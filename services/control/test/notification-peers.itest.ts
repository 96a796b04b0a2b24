import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import type { Database } from '@tailrace/database/database';
import { eventually } from '@tailrace/testkit/eventually';
import { freePort } from '@tailrace/testkit/free-port';
import { type Supervised, startSupervised } from '@tailrace/testkit/supervised';
import { createTempDir, type TempDir } from '@tailrace/testkit/tempdir';
import { findTool } from '@tailrace/testkit/tool';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { createMailer } from '../src/notifications/mail-transport.ts';
import { createStore, startNotifications } from './notification-fixture.ts';

/** Notifications with a real Alertmanager, and with a mail server. */
let database: Database;
let dir: TempDir;
before(async () => {
  dir = await createTempDir('notifications');
  database = await createStore();
});
after(async () => {
  await database?.close();
  await dir?.remove();
});

interface GettableAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly status: { readonly state: string };
}

/** An Alertmanager without a receiver. */
class Alertmanager {
  readonly port: number;
  #running: Supervised | undefined;

  constructor(port: number) {
    this.port = port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async start(): Promise<void> {
    const config = join(dir.path, 'alertmanager.yaml');
    // JSON is YAML.
    await writeFile(config, JSON.stringify({ route: { receiver: 'none' }, receivers: [{ name: 'none' }] }));
    this.#running = await startSupervised({
      command: await findTool('prometheus-alertmanager'),
      args: [
        ...[`--config.file=${config}`, `--storage.path=${join(dir.path, 'data')}`],
        ...[`--web.listen-address=127.0.0.1:${this.port}`, '--cluster.listen-address='],
      ],
      output: { file: join(dir.path, 'alertmanager.log') },
    });
    await eventually(async () => assert.ok((await fetch(`${this.url}/-/ready`)).ok), {
      deadlineMs: 20_000,
      describe: 'the Alertmanager is ready',
    });
  }

  async stop(): Promise<void> {
    await this.#running?.stop({ signal: 'SIGTERM', deadlineMs: 5_000 });
  }

  async alerts(): Promise<readonly GettableAlert[]> {
    return (await (await fetch(`${this.url}/api/v2/alerts`)).json()) as GettableAlert[];
  }
}

test('an Alertmanager has each standing alarm once, also after it was restarted, and no other', async (t) => {
  const alertmanager = new Alertmanager(await freePort());
  await alertmanager.start();
  t.after(() => alertmanager.stop());
  const { target, route, take, clock, states } = await startNotifications(t, { database });
  // An Alertmanager compares the times of alerts with its own clock.
  clock.setWallClock(Date.now());
  await target('prom', { kind: 'alertmanager', url: `${alertmanager.url}/` });
  await route('all', { targets: ['prom'] });
  await take({ message: 'too high' }, { rule: 'brief' }, { rule: 'shelved' });
  await take(
    { rule: 'brief', cause: 'returned', state: 'normal' },
    { rule: 'shelved', cause: 'shelved', state: 'shelved' },
  );
  const active = async () =>
    (await alertmanager.alerts()).map(({ labels, annotations, status }) => [
      ...[labels['alertname'], labels['device'], labels['priority'], annotations['summary'], status.state],
    ]);
  const standing = ['pressure', 'plant1.press7', '3', 'plant1.press7: too high', 'active'];
  await eventually(async () => {
    assert.ok((await states('prom')).every((state) => state === 'sent'));
    assert.deepEqual(await active(), [standing]);
  });
  await take({ cause: 'escalated', priority: 1, message: 'too high' });
  await eventually(async () => assert.deepEqual(await active(), [standing.with(2, '1')]));
  await alertmanager.stop();
  await alertmanager.start();
  assert.deepEqual(await active(), [], 'it has forgotten them');
  await eventually(async () => {
    await clock.advance(10_000);
    assert.deepEqual(await active(), [standing.with(2, '1')]);
  });
  clock.setWallClock(Date.now() - 2_000);
  // It is to receive the end, although no route leads there any more.
  await database.query('DELETE FROM notification_routes');
  await clock.advance(1_001);
  await take({ cause: 'returned', state: 'normal', priority: 1, message: 'too high' });
  await eventually(async () => {
    await clock.advance(10_000);
    assert.deepEqual(await active(), []);
    const { rows } = await database.query('SELECT 1 FROM notification_standing');
    assert.equal(rows.length, 0);
  });
});

/** A mail server that keeps what it takes. */
async function startMailServer(t: TestContext, options: Partial<SMTPServerOptions> = {}) {
  const messages: { readonly to: readonly string[]; readonly text: string }[] = [];
  const server = new SMTPServer({
    ...{ authOptional: true, disabledCommands: ['STARTTLS'], logger: false },
    onData(stream, session, callback) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        messages.push({
          to: session.envelope.rcptTo.map(({ address }) => address),
          text: Buffer.concat(chunks).toString('utf8'),
        });
        callback();
      });
    },
    ...options,
  });
  const port = await freePort();
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  t.after(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const mailer = {
    url: `smtp://127.0.0.1:${port}`,
    user: '',
    password: '',
    requiresTls: false,
    from: 'alarms@plant.example',
  };
  return { messages, mailer, server };
}

test('people get one message for the alarms of a moment, and none for what a mail server has refused for good', async (t) => {
  const { messages, mailer } = await startMailServer(t, {
    onRcptTo({ address }, _session, callback) {
      callback(address.startsWith('unknown') ? Object.assign(new Error('unknown'), { responseCode: 550 }) : null);
    },
  });
  const { target, route, take, clock, states } = await startNotifications(t, { database, mail: createMailer(mailer) });
  await target('shift', { kind: 'email', to: ['shift@plant.example', 'lead@plant.example'] });
  await target('unknown', { kind: 'email', to: ['unknown@plant.example'] });
  await route('all', { targets: ['shift', 'unknown'] });
  await take(
    { message: 'Öldruck\r\nBcc: x@y.example' },
    { device: 'plant1.oven' },
    { device: 'plant1.pump', priority: 2 },
  );
  await eventually(async () => {
    await clock.advance(5_000);
    assert.deepEqual(await states('unknown'), ['dead', 'dead', 'dead']);
  });
  const [message, ...more] = messages;
  assert.equal(more.length, 0);
  assert.deepEqual(message!.to, ['shift@plant.example', 'lead@plant.example']);
  assert.match(message!.text, /^From: alarms@plant\.example\r$/m);
  assert.match(message!.text, /^Subject: =\?UTF-8\?/m);
  assert.match(message!.text, /^Auto-Submitted: auto-generated\r$/m);
  assert.match(message!.text, /^Importance: high\r$/m);
  assert.doesNotMatch(message!.text, /^Bcc/m);
});

test('a mail server that is away, or wants a password, is tried again', async (t) => {
  const { messages, mailer, server } = await startMailServer(t, {
    authOptional: false,
    allowInsecureAuth: true,
    onAuth({ username, password }, _session, callback) {
      if (username === 'alarms' && password === 'secret') callback(null, { user: username });
      else callback(new Error('invalid'));
    },
  });
  const credentials = { user: 'alarms', password: 'wrong' };
  const send = (with_: object) => createMailer({ ...mailer, ...with_ })(['a@b.example'], content);
  const content = { subject: 's', text: 't', headers: {}, messageId: '<1@tailrace>' };
  await assert.rejects(send(credentials), { code: 'unavailable' });
  await send({ ...credentials, password: 'secret' });
  assert.equal(messages.length, 1);
  await assert.rejects(send({ ...credentials, password: 'secret', requiresTls: true }), { code: 'unavailable' });
  await new Promise<void>((resolve) => server.close(() => resolve()));
  await assert.rejects(send(credentials), { code: 'unavailable', message: /^mail server: expected it to take/ });
});
