/** Devices and people of the bench of control, in one process, so that their times are of one clock. */
import { createStream } from '@tailrace/client';
import { type CommandTransition, type Control, createControl } from '@tailrace/client/control';
import { DeviceConnection } from '@tailrace/client/device';
import { answer } from './child.ts';

interface Connect {
  readonly ingest: string;
  readonly fanout: string;
  readonly devices: readonly { readonly device: string; readonly token: string }[];
  /** Of people, by whom commands are sent in turn. */
  readonly tokens: readonly string[];
  readonly token: string;
}

/** Where the reports go, and whose readings and alarms are watched. */
interface Watch {
  readonly channel: string;
  readonly perSecond: number;
  readonly seconds: number;
  /** Each of this number of reports crosses the limit of 80, up or down. */
  readonly alarmEvery: number;
}

/** How long the last readings and alarms are awaited, ms. */
const answerMs = 20_000;
const people: Control[] = [];
const devices: string[] = [];
/** When a device received its last command, epoch ms, by command. */
const received = new Map<string, number>();
/** Devices and times of the commands of scenes, epoch ms. */
let receipts: { device: string; atMs: number }[] = [];
/** Devices whose last report was beyond the limit. */
const high = new Set<string>();
let connected: Connect;

const now = () => performance.timeOrigin + performance.now();

async function connect(options: Connect): Promise<object> {
  connected = options;
  // One after the other: ingest bounds the connections that are not authenticated yet.
  for (const { device, token } of options.devices) await openDevice(device, token);
  const opened: Promise<void>[] = [];
  for (const token of options.tokens) {
    const stream = createStream({ url: options.fanout, token, follow: false });
    opened.push(new Promise((resolve) => void stream.onState(({ name }) => name === 'live' && resolve())));
    people.push(createControl(stream));
  }
  await Promise.all(opened);
  return {};
}

function openDevice(device: string, token: string): Promise<void> {
  devices.push(device);
  return new Promise((resolve) => {
    const connection = new DeviceConnection({
      ...{ url: connected.ingest.replace('http', 'ws'), device, token },
      onState: ({ name }) => name === 'live' && resolve(),
      onCommand({ id, params }, reply) {
        const atMs = now();
        received.set(id, atMs);
        if (params?.['scene'] === true) receipts.push({ device, atMs });
        reply.reply({ state: 'done', confirmedBy: 'device' });
      },
    });
    connection.start();
  });
}

/** Commands at an even rate, to each device in turn. */
async function commands({ perSecond, seconds }: { readonly perSecond: number; readonly seconds: number }) {
  const results: Promise<Timed | undefined>[] = [];
  await evenly(perSecond, seconds, (n) => results.push(command(n)));
  const timed = (await Promise.all(results)).filter((each) => each !== undefined);
  received.clear();
  return { timed, failed: results.length - timed.length };
}

/** Times of a command since its sender has sent it, ms. */
export interface Timed {
  readonly acceptedMs: number;
  readonly deviceMs: number;
  readonly doneMs: number;
}

async function command(n: number): Promise<Timed | undefined> {
  const startMs = now();
  const sent = people[n % people.length]!.command({ device: devices[n % devices.length]!, name: 'set', params: { n } });
  let acceptedMs = Number.NaN;
  sent.onState(() => {
    if (Number.isNaN(acceptedMs)) acceptedMs = now() - startMs;
  });
  const final: CommandTransition | undefined = await sent.result.catch(() => undefined);
  if (final?.state !== 'done') return undefined;
  return { acceptedMs, deviceMs: received.get(final.id)! - startMs, doneMs: now() - startMs };
}

/** Reports at an even rate. Resolves with how late each was as a reading, and as an alarm if it has changed one, ms. */
async function watch({ channel, perSecond, seconds, alarmEvery }: Watch) {
  const sentMs = new Map<string, number>();
  const readings: number[] = [];
  const alarms: number[] = [];
  let raised = 0;
  const stream = createStream({ url: connected.fanout, token: connected.token, follow: false });
  const live = new Promise<void>((resolve) => {
    stream.subscribe(channel, {
      onReports(reports) {
        for (const { device, time } of reports) {
          const startMs = sentMs.get(`${device} ${time}`);
          if (startMs !== undefined) readings.push(now() - startMs);
        }
      },
      onState: ({ name }) => name === 'live' && resolve(),
    });
  });
  const watched = createControl(stream).alarms(channel);
  watched.onTransition(({ device, time }) => {
    const startMs = sentMs.get(`${device} ${time}`);
    if (startMs !== undefined) alarms.push(now() - startMs);
  });
  await live;
  const posts: Promise<unknown>[] = [];
  await evenly(perSecond, seconds, (n) => {
    const device = devices[n % devices.length]!;
    if (n % alarmEvery === 0) {
      raised++;
      if (!high.delete(device)) high.add(device);
    }
    const time = Math.floor(now());
    sentMs.set(`${device} ${time}`, now());
    posts.push(post({ device, time, readings: [{ tag: 'temp', value: high.has(device) ? 90 : 20 }] }));
  });
  await Promise.all(posts);
  const deadlineMs = now() + answerMs;
  while (now() < deadlineMs && (readings.length < sentMs.size || alarms.length < raised)) await pause();
  stream.close();
  return { readings, alarms, sent: sentMs.size, raised };
}

async function post(report: object): Promise<void> {
  const { ingest, token } = connected;
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const reply = await fetch(`${ingest}/v1/ingest`, { method: 'POST', headers, body: JSON.stringify(report) });
  await reply.arrayBuffer();
}

/** Calls `send` with the numbers from 0 at an even rate. */
async function evenly(perSecond: number, seconds: number, send: (n: number) => void): Promise<void> {
  const startMs = now();
  for (let n = 0; n < perSecond * seconds; ) {
    const due = Math.min(perSecond * seconds, ((now() - startMs) / 1_000) * perSecond);
    while (n < due) send(n++);
    await pause();
  }
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 2));

answer({
  connect,
  commands,
  watch,
  /** Commands of scenes since the last request. */
  receipts: () => {
    const list = receipts;
    receipts = [];
    return { list };
  },
});
