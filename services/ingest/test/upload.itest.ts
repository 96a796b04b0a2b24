import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { deflateSync, gzipSync } from 'node:zlib';
import { eventually } from '@tailrace/testkit/eventually';
import { type KafkaBroker, startKafka } from '@tailrace/testkit/kafka';
import { failOnLeaks } from '@tailrace/testkit/leak-check';
import { type ServiceProcess, startService } from '@tailrace/testkit/process';
import { createTempDir } from '@tailrace/testkit/tempdir';
import { tokenFor, tokenSecret } from './ingest-fixture.ts';

failOnLeaks();

/** MB of a large upload. TAILRACE_TEST_UPLOAD_MB=1024 shows the same bound for a gigabyte. */
const uploadMb = Number(process.env['TAILRACE_TEST_UPLOAD_MB'] ?? 96);
/** Growth of the process by one upload, whatever its size. */
const memoryBytesMax = 150_000_000;

let broker: KafkaBroker;
let service: ServiceProcess;
let url: string;
let internalUrl: string;
let token: string;

before(async () => {
  broker = await startKafka({ env: { ...process.env, TAILRACE_TEST_KAFKA: undefined } });
  service = await startService({
    args: [join(import.meta.dirname, '../src/main.ts')],
    env: {
      TAILRACE_TOKEN_SECRET: tokenSecret,
      TAILRACE_HOST: '127.0.0.1',
      TAILRACE_PORT: '0',
      TAILRACE_INTERNAL_HOST: '127.0.0.1',
      TAILRACE_INTERNAL_PORT: '0',
      TAILRACE_TELEMETRY_PARTITIONS: '4',
      TAILRACE_RETENTION_BYTES: '33554432',
      TAILRACE_KAFKA_BROKERS: broker.brokers.join(','),
      TAILRACE_BUS: 'none',
    },
  });
  const [, internalPort] = await service.line(/"port":(\d+).*"the internal port listens"/);
  const [, port] = await service.line(/"port":(\d+).*accepting reports at POST/);
  url = `http://127.0.0.1:${port}/v1/ingest`;
  internalUrl = `http://127.0.0.1:${internalPort}/metrics`;
  token = await tokenFor(['plant1.>'], { expiresInMs: 3_600_000 });
});
after(async () => {
  await service?.stop();
  await broker?.stop();
});

/** About a megabyte of lines of 1 KB, with the times of a machine's readings. */
function megabyteOf(): { readonly text: string; readonly reports: number } {
  const lines: string[] = [];
  for (let bytes = 0, n = 0; bytes < 1_000_000; n++) {
    const readings = Array.from({ length: 14 }, (_, tag) => ({
      tag: `temperature${tag}`,
      value: Math.round(1_000 * Math.sin(n + tag)) / 100,
      unit: 'Cel',
    }));
    const report = JSON.stringify({
      device: `plant1.line${n % 9}.press${n % 7}`,
      time: 1_634_567_890_000 + n,
      readings,
    });
    lines.push(report);
    bytes += report.length + 1;
  }
  return { text: `${lines.join('\n')}\n`, reports: lines.length };
}

interface Upload {
  readonly answered: Promise<{ readonly status: number; readonly body: string }>;
  /** Resolves when the part is sent, or the connection is closed. */
  send(part: Uint8Array | string): Promise<void>;
  end(): void;
  abort(): void;
}

function upload(headers: Readonly<Record<string, string>> = {}): Upload {
  const { promise, resolve } = Promise.withResolvers<{ status: number; body: string }>();
  const client = request(url, {
    method: 'POST',
    agent: false,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson', ...headers },
  });
  let isClosed = false;
  client.on('response', (response: IncomingMessage) => {
    void text(response)
      .catch(() => '')
      .then((body) => resolve({ status: response.statusCode ?? 0, body }));
  });
  client.on('error', () => resolve({ status: 0, body: '' }));
  client.on('close', () => {
    isClosed = true;
  });
  return {
    answered: promise,
    send: (part) =>
      new Promise((sent) => {
        if (isClosed) return sent();
        client.once('close', sent);
        client.write(part, () => {
          client.off('close', sent);
          sent();
        });
      }),
    end: () => void client.end(),
    abort: () => void client.destroy(),
  };
}

/** Returns a size of /proc/<pid>/status in bytes: VmRSS is the present one, VmHWM the largest since `resetPeak`. */
async function memoryOf(field: 'VmRSS' | 'VmHWM'): Promise<number> {
  const status = await readFile(`/proc/${service.pid}/status`, 'utf8');
  return 1_024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)![1]);
}

const resetPeak = () => writeFile(`/proc/${service.pid}/clear_refs`, '5');

async function metric(name: string): Promise<number> {
  const page = await (await fetch(internalUrl)).text();
  return Number(new RegExp(`^${name}\\{[^}]*\\} (.*)$`, 'm').exec(page)![1]);
}

/** Sends small requests of another sender until the signal; returns their times, in ms. */
async function otherSender(signal: AbortSignal): Promise<number[]> {
  const own = await tokenFor(['plant1.>'], { subject: 'gateway8' });
  const body = JSON.stringify({ device: 'plant1.other', readings: [{ tag: 't', value: 1 }] });
  const headers = { authorization: `Bearer ${own}`, 'content-type': 'application/json' };
  const times: number[] = [];
  while (!signal.aborted) {
    const startMs = performance.now();
    const response = await fetch(url, { method: 'POST', headers, body });
    await response.text();
    assert.equal(response.status, 202);
    times.push(performance.now() - startMs);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return times.sort((a, b) => a - b);
}

for (const [encoding, pack] of [
  ['identity', (part: string) => Buffer.from(part)],
  // A gzip body may have several members.
  ['gzip', (part: string) => gzipSync(part)],
] as const) {
  test(`an upload of ${uploadMb} MB (${encoding}) takes bounded memory, and other senders are served meanwhile`, async (t) => {
    const { text: lines, reports } = megabyteOf();
    const part = pack(lines);
    const parts = Math.ceil((uploadMb * 1_048_576) / lines.length);
    const warm = upload({ 'content-encoding': encoding });
    for (let sent = 0; sent < 8; sent++) await warm.send(part);
    warm.end();
    assert.equal((await warm.answered).status, 202);

    const startBytes = await memoryOf('VmRSS');
    await resetPeak();
    const stopped = new AbortController();
    const others = otherSender(stopped.signal);
    // Awaited below, also if the upload fails before.
    others.catch(() => {});
    const startMs = performance.now();
    const client = upload({ 'content-encoding': encoding });
    for (let sent = 0; sent < parts; sent++) await client.send(part);
    client.end();
    const answer = await client.answered;
    const seconds = (performance.now() - startMs) / 1_000;
    stopped.abort();
    const times = await others;
    const grownBytes = (await memoryOf('VmHWM')) - startBytes;
    const p = (share: number) => Math.round(times[Math.floor(times.length * share)]!);
    t.diagnostic(
      `${parts * reports} reports in ${seconds.toFixed(1)} s; memory ${Math.round(startBytes / 1e6)} + ${Math.round(grownBytes / 1e6)} MB; other requests p50 ${p(0.5)} ms, p99 ${p(0.99)} ms`,
    );
    assert.equal(answer.status, 202, answer.body);
    assert.deepEqual(JSON.parse(answer.body), { accepted: parts * reports, rejectedCount: 0, rejected: [], codes: {} });
    assert.ok(grownBytes <= memoryBytesMax, `${grownBytes} bytes`);
    assert.ok(times.length >= 5 && p(0.5) < 1_000, `${times.length} requests, p50 ${p(0.5)} ms`);
    assert.equal(await metric('tailrace_ingest_streams'), 0);
    assert.equal(await metric('tailrace_ingest_in_flight_bytes'), 0);
    assert.equal(await metric('tailrace_ingest_unfinished_body_bytes'), 0);
  });
}

test('a body that unpacks to far more than it has is bounded, too', async () => {
  // 64 MB of blank lines, and of one line.
  for (const byte of ['\n', 'x']) {
    const startBytes = await memoryOf('VmRSS');
    await resetPeak();
    const client = upload({ 'content-encoding': 'deflate' });
    await client.send(deflateSync(Buffer.alloc(64_000_000, byte)));
    client.end();
    const { status, body } = await client.answered;
    assert.equal(status, 400, body);
    const grownBytes = (await memoryOf('VmHWM')) - startBytes;
    assert.ok(grownBytes <= memoryBytesMax, `${grownBytes} bytes`);
  }
});

test('while the log hangs the client is paused, and continues when the log does', async () => {
  const { text: lines, reports } = megabyteOf();
  const client = upload();
  await client.send(lines);
  await broker.signal('SIGSTOP');
  let sent = 1;
  const total = 24;
  const sending = (async () => {
    for (; sent < total; sent++) await client.send(lines);
  })();
  try {
    // The chunks that wait, and the buffers of both sockets. Meanwhile the service answers other requests, and takes
    // nothing more. No longer: an upload is stopped when the log hangs for some seconds.
    await eventually(async () => {
      assert.ok((await metric('tailrace_ingest_in_flight_bytes')) > 500_000);
      const before = sent;
      for (let requests = 0; requests < 20; requests++) await metric('tailrace_ingest_streams');
      assert.equal(sent, before, 'MB that are sent');
    });
    assert.ok(sent < total, `${sent} MB were sent although the log hangs`);
    assert.equal(await metric('tailrace_ingest_streams'), 1);
  } finally {
    await broker.signal('SIGCONT');
  }
  await sending;
  client.end();
  const { status, body } = await client.answered;
  assert.equal(status, 202, body);
  assert.equal(JSON.parse(body).accepted, total * reports);
});

test('while the log hangs for too long an upload stops, and continues at the line of its answer', async () => {
  const { text: lines, reports } = megabyteOf();
  const whole = lines.repeat(8);
  const acceptedTotal = 'tailrace_ingest_accepted_reports_total';
  const before = await metric(acceptedTotal);
  const client = upload();
  await client.send(lines.repeat(2));
  await eventually(async () => assert.ok((await metric(acceptedTotal)) >= before + reports));
  await broker.signal('SIGSTOP');
  let first: Awaited<typeof client.answered>;
  try {
    void client.send(lines.repeat(6)).then(() => client.end());
    first = await client.answered;
  } finally {
    await broker.signal('SIGCONT');
  }
  assert.equal(first.status, 503, first.body);
  let { error, accepted, resume } = JSON.parse(first.body);
  assert.deepEqual([error.code, error.retryable], ['unavailable', true]);
  assert.ok(resume.line > reports && resume.line <= 8 * reports);
  let total: number = accepted;
  let at: number = resume.byte;
  // As a sender does: the log may need some seconds.
  await eventually(
    async () => {
      const rest = upload();
      await rest.send(whole.slice(at));
      rest.end();
      const { status, body } = await rest.answered;
      ({ accepted, resume } = JSON.parse(body));
      total += accepted;
      at += resume?.byte ?? 0;
      return status === 202;
    },
    { deadlineMs: 30_000, describe: 'the rest of the upload is accepted' },
  );
  // Chunks after the place of an answer may be in the log, too.
  assert.ok(total >= 8 * reports && total <= 8 * reports + 3 * 4 * 500, `${total} of ${8 * reports}`);
});

test('a client that sends 2 KiB a second gets 408 after some 10 s', async () => {
  const { text: lines } = megabyteOf();
  const client = upload();
  let at = 0;
  const timer = setInterval(() => {
    void client.send(lines.slice(at, at + 1_024));
    at += 1_024;
  }, 500);
  const startMs = performance.now();
  const { status, body } = await client.answered;
  clearInterval(timer);
  client.abort();
  assert.equal(status, 408, body);
  assert.ok(performance.now() - startMs >= 9_500);
  const { error, accepted, resume } = JSON.parse(body);
  assert.match(error.message, /expected at least 4096 bytes a second/);
  assert.equal(resume.line, accepted + 1);
});

test('curl receives the progress during an upload, and not when it does not ask for it', async (t) => {
  const folder = await createTempDir('upload');
  t.after(() => folder.remove());
  const file = join(folder.path, 'lines.ndjson');
  const { text: lines, reports } = megabyteOf();
  await writeFile(file, lines.repeat(3));
  const curl = (...args: string[]) => {
    const head = ['--header', `Authorization: Bearer ${token}`, '--header', 'Content-Type: application/x-ndjson'];
    const child = spawn('curl', ['--silent', '--show-error', '--no-buffer', '--max-time', '30', ...head, ...args, url]);
    const exited = new Promise((resolve) => child.once('close', resolve));
    return { child, exited };
  };
  const accept = ['--header', 'Accept: application/x-ndjson'];
  // From a file with a known length, slowly; then chunked, as from a pipe.
  const slow = curl('--request', 'POST', '--upload-file', file, '--limit-rate', '1M', ...accept);
  let output = '';
  let duringUpload = 0;
  slow.child.stdout.on('data', (part: Buffer) => {
    output += part.toString();
    const last = output.trimEnd().split('\n').at(-1) ?? '';
    const { progress } = JSON.parse(last.endsWith('}') ? last : '{}');
    if (progress !== undefined && progress.accepted > 0 && progress.accepted < 3 * reports) duringUpload++;
  });
  await slow.exited;
  assert.ok(duringUpload >= 1, output);
  const answer = output
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.equal(answer.at(-1).result.accepted, 3 * reports);
  const bytes = answer.slice(0, -1).map(({ progress }) => progress.bytes);
  assert.deepEqual(
    bytes,
    bytes.toSorted((a, b) => a - b),
  );

  const plain = curl('--request', 'POST', '--upload-file', '-');
  plain.child.stdin.end(lines);
  const [body] = await Promise.all([text(plain.child.stdout), plain.exited]);
  assert.deepEqual(JSON.parse(body), { accepted: reports, rejectedCount: 0, rejected: [], codes: {} });
});

test('fetch of Node.js sends a stream, and reads the progress while it is sent', async () => {
  const { text: lines, reports } = megabyteOf();
  const progressed = Promise.withResolvers<void>();
  const body = new ReadableStream({
    async start(controller) {
      controller.enqueue(Buffer.from(lines));
      await progressed.promise;
      controller.close();
    },
  });
  const response = await fetch(url, {
    method: 'POST',
    body,
    duplex: 'half',
    headers: {
      ...{ authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' },
      accept: 'application/x-ndjson',
    },
  } as RequestInit);
  assert.equal(response.status, 200);
  let received = '';
  for await (const part of response.body!.pipeThrough(new TextDecoderStream())) {
    received += part;
    if (/"progress".*\n/.test(received)) progressed.resolve();
  }
  const last = JSON.parse(received.trimEnd().split('\n').at(-1)!);
  assert.equal(last.result.accepted, reports);
});
