import exec from 'k6/execution';
import http from 'k6/http';
import { codecs } from './codec.ts';
import type { Plan } from './plan.ts';
import { Plant } from './plant.ts';
import { ServerClock } from './server-clock.ts';
import { openSocket } from './socket.ts';
import { Tally } from './tally.ts';

const pings = 5;
/** What is refused here is no failure of the run's requests. */
const anyStatus = http.expectedStatuses({ min: 100, max: 599 });

/** What the probe found, for setup(). */
export interface Probed {
  readonly offsetMs: number;
}

/**
 * Looks at every address before any load: a dead port, a foreign server, a token that does not hold are said in one sentence within `probeMs` each, and the
 * run ends (k6's exit code 108).
 */
export async function probe(plan: Plan, root: string, token: string): Promise<Probed> {
  const { targets, ingest, prefix, probeMs } = plan.settings;
  let offsetMs = 0;
  // Not of the run: who watches everything would be shown it.
  const device = `${prefix}.probe`;
  if (plan.options.onlyIngest !== true) {
    for (const target of targets) {
      askRoute(target, device, token, probeMs);
      offsetMs = await shakeHands(target, plan, root, token);
    }
  }
  sendOne(ingest, device, token, probeMs);
  return { offsetMs };
}

function askRoute(target: string, device: string, token: string, probeMs: number): void {
  const url = `${target.replace(/^ws/, 'http')}/v1/route?device=${device}`;
  const answer = http.get(url, {
    headers: { authorization: `Bearer ${token}` },
    timeout: probeMs,
    redirects: 0,
    tags: { name: 'probe' },
    responseCallback: anyStatus,
  });
  if (answer.status === 0) stop(`${target} (TARGET) does not answer: ${answer.error}`);
  const body = fieldsOf(answer.body);
  const isOurs = answer.status === 200 ? 'node' in body && 'url' in body : 'error' in body || answer.status === 503;
  if (!isOurs)
    stop(`${target} (TARGET) is no Tailrace fanout: GET ${url} was answered ${answer.status} ${shown(answer.body)}`);
  if (answer.status !== 200 && answer.status !== 503)
    stop(`${target} (TARGET) refuses the token or the run with ${answer.status}: ${shown(answer.body)}`);
}

/** A whole handshake, and the difference of clocks by a few round trips. */
function shakeHands(target: string, plan: Plan, root: string, token: string): Promise<number> {
  const codec = codecs[plan.settings.encoding];
  const clock = new ServerClock(() => Date.now());
  const channel = new Plant(root, 1, 1).line(0);
  const sink = new Tally('probe', 1, () => 0);
  return new Promise((resolve) => {
    const timer = setTimeout(
      () =>
        stop(
          `${target} (TARGET) answers HTTP, but no WebSocket within ${plan.settings.probeMs} ms: is a proxy between that does not upgrade?`,
        ),
      plan.settings.probeMs,
    );
    let left = pings;
    const ping = () => socket.send(codec.encode({ ping: { t: Date.now() } }));
    const socket = openSocket(`${target}/v1/stream`, codec.subprotocol, {
      onOpen: () => socket.send(codec.encode({ auth: { token } })),
      onFrame(frame) {
        const word = codec.decode(frame, channel, sink);
        if (word === undefined) return;
        if ('error' in word) stop(`${target} (TARGET) refuses the token: ${word.error.message}`);
        if ('pong' in word) {
          clock.add(word.pong.t, Date.now(), word.pong.time);
          left--;
        }
        if (left > 0) ping();
        else {
          clearTimeout(timer);
          socket.leave();
          resolve(clock.offsetMs);
        }
      },
      onClose: (code, reason) => stop(`${target} (TARGET) answers HTTP, but refuses the WebSocket: ${code} ${reason}`),
    });
  });
}

/** One report, which says that ingest is there, and that the token may publish. */
function sendOne(ingest: string, device: string, token: string, probeMs: number): void {
  const body = JSON.stringify({ device, time: Date.now(), readings: [{ tag: 'n', value: 1 }] });
  const answer = http.post(`${ingest}/v1/ingest`, body, {
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    timeout: probeMs,
    redirects: 0,
    tags: { name: 'probe' },
    responseCallback: anyStatus,
  });
  if (answer.status === 202 && fieldsOf(answer.body)['accepted'] === 1) return;
  if (answer.status === 0) stop(`${ingest} (INGEST) does not answer: ${answer.error}`);
  const isOurs =
    'rejected' in fieldsOf(answer.body) || 'error' in fieldsOf(answer.body) || 'code' in fieldsOf(answer.body);
  stop(
    isOurs
      ? `${ingest} (INGEST) refuses a report with ${answer.status}: ${shown(answer.body)}`
      : `${ingest} (INGEST) is no Tailrace ingest: POST ${ingest}/v1/ingest was answered ${answer.status} ${shown(answer.body)}`,
  );
}

function fieldsOf(body: unknown): Readonly<Record<string, unknown>> {
  try {
    const fields: unknown = JSON.parse(String(body));
    return typeof fields === 'object' && fields !== null ? (fields as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function shown(body: unknown): string {
  const text = String(body ?? '')
    .replace(/\s+/g, ' ')
    .trim();
  return text === '' ? 'with nothing' : `with "${text.slice(0, 120)}"`;
}

/** Ends the run. k6's own types do not say that nothing comes after it. */
function stop(why: string): never {
  exec.test.abort(why);
  throw new Error(why);
}
