import exec from 'k6/execution';
import http from 'k6/http';
import { codecs } from './codec.ts';
import type { Plan } from './plan.ts';
import { Plant } from './plant.ts';
import { ServerClock } from './server-clock.ts';
import { openSocket } from './socket.ts';
import { Tally } from './tally.ts';

const pings = 5;
/** A status that is an error here does not count as a failure of the run's requests. */
const anyStatus = http.expectedStatuses({ min: 100, max: 599 });

/** The result for setup(). */
export interface ProbeResult {
  /** The servers' clock less k6's. */
  readonly offsetMs: number;
}

/**
 * Probes every URL before the load. A closed port, another server and an invalid token abort the run within `probeMs`,
 * with a sentence for the user (k6's exit code 108).
 */
export async function probe(plan: Plan, root: string, token: string): Promise<ProbeResult> {
  const { targets, ingest, prefix, probeMs } = plan.settings;
  let offsetMs = 0;
  // Not within the run's root, which slow clients watch.
  const device = `${prefix}.probe`;
  if (plan.options.onlyIngest !== true) {
    for (const target of targets) {
      probeRoute(target, device, token, probeMs);
      offsetMs = await probeStream(target, plan, root, token);
    }
  }
  probeIngest(ingest, device, token, probeMs);
  return { offsetMs };
}

function probeRoute(target: string, device: string, token: string, probeMs: number): void {
  const url = `${target.replace(/^ws/, 'http')}/v1/route?device=${device}`;
  const answer = http.get(url, {
    headers: { authorization: `Bearer ${token}` },
    timeout: probeMs,
    redirects: 0,
    tags: { name: 'probe' },
    responseCallback: anyStatus,
  });
  if (answer.status === 0) abort(`${target} (TARGET) does not answer: ${answer.error}`);
  const body = fieldsOf(answer.body);
  const isOurs = answer.status === 200 ? 'node' in body && 'url' in body : 'error' in body || answer.status === 503;
  if (!isOurs)
    abort(
      `${target} (TARGET) is not a Tailrace fanout: GET ${url} was answered ${answer.status} ${shown(answer.body)}`,
    );
  if (answer.status !== 200 && answer.status !== 503)
    abort(`${target} (TARGET) rejects the token or the run with ${answer.status}: ${shown(answer.body)}`);
}

/** Opens a stream, and measures the difference of clocks by a few round trips. Resolves with it, ms. */
function probeStream(target: string, plan: Plan, root: string, token: string): Promise<number> {
  const codec = codecs[plan.settings.encoding];
  const clock = new ServerClock(() => Date.now());
  const channel = new Plant(root, 1, 1).line(0);
  const sink = new Tally('probe', 1, () => 0);
  return new Promise((resolve) => {
    const timer = setTimeout(
      () =>
        abort(
          `${target} (TARGET) answers HTTP, but no WebSocket within ${plan.settings.probeMs} ms: does a proxy before it upgrade connections?`,
        ),
      plan.settings.probeMs,
    );
    let left = pings;
    const ping = () => socket.send(codec.encode({ ping: { t: Date.now() } }));
    const socket = openSocket(`${target}/v1/stream`, codec.subprotocol, {
      onOpen: () => socket.send(codec.encode({ auth: { token } })),
      onFrame(frame) {
        const message = codec.decode(frame, channel, sink);
        if (message === undefined) return;
        if ('error' in message) abort(`${target} (TARGET) rejects the token: ${message.error.message}`);
        if ('pong' in message) {
          clock.add(message.pong.t, Date.now(), message.pong.time);
          left--;
        }
        if (left > 0) ping();
        else {
          clearTimeout(timer);
          socket.close();
          resolve(clock.offsetMs);
        }
      },
      onClose: (code, reason) => abort(`${target} (TARGET) answers HTTP, but rejects the WebSocket: ${code} ${reason}`),
    });
  });
}

/** Sends one report: whether ingest is available, and the token may publish. */
function probeIngest(ingest: string, device: string, token: string, probeMs: number): void {
  const body = JSON.stringify({ device, time: Date.now(), readings: [{ tag: 'n', value: 1 }] });
  const answer = http.post(`${ingest}/v1/ingest`, body, {
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    timeout: probeMs,
    redirects: 0,
    tags: { name: 'probe' },
    responseCallback: anyStatus,
  });
  if (answer.status === 202 && fieldsOf(answer.body)['accepted'] === 1) return;
  if (answer.status === 0) abort(`${ingest} (INGEST) does not answer: ${answer.error}`);
  const isOurs =
    'rejected' in fieldsOf(answer.body) || 'error' in fieldsOf(answer.body) || 'code' in fieldsOf(answer.body);
  abort(
    isOurs
      ? `${ingest} (INGEST) rejects a report with ${answer.status}: ${shown(answer.body)}`
      : `${ingest} (INGEST) is not a Tailrace ingest: POST ${ingest}/v1/ingest was answered ${answer.status} ${shown(answer.body)}`,
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

/** Aborts the run. In k6's types `abort` returns. */
function abort(why: string): never {
  exec.test.abort(why);
  throw new Error(why);
}
