import { eventually } from '@tailrace/testkit/eventually';

interface SeenReport {
  readonly device: string;
  readonly partition: number;
  readonly seq: number;
  readonly readings: readonly { readonly tag: string; readonly value: unknown }[];
}

/**
 * A client by docs/PROTOCOL.md alone, over Node's own WebSocket: it records the reports that it receives, and checks
 * that the positions of each device grow.
 */
export interface Watcher {
  /** Number of live reports so far, without snapshots. */
  readonly reports: number;
  /** Returns the first value of each live report of a device, in the order received. */
  values(device: string): readonly unknown[];
  /** Returns the last values in the snapshot. */
  snapshot(device: string): readonly unknown[];
  /** All live reports so far, with the time received. */
  readonly logReports: readonly { readonly report: SeenReport; readonly atMs: number }[];
  /** The changes of presence so far, as `offline plant1.press7`. */
  readonly presences: readonly string[];
  until(reports: number, deadlineMs: number): Promise<void>;
  close(): void;
}

/** Connects and subscribes; resolves when the server has sent `subscribed`. */
export async function createWatcher(options: { url: string; token: string; channel: string }): Promise<Watcher> {
  const socket = new WebSocket(`${options.url}/v1/stream`, ['tailrace.v1.json']);
  const live = new Map<string, unknown[]>();
  const first = new Map<string, unknown[]>();
  const lastSeq = new Map<string, number>();
  const logReports: { report: SeenReport; atMs: number }[] = [];
  const presences: string[] = [];
  const errors: string[] = [];
  const subscribed = Promise.withResolvers<void>();
  socket.onopen = () => {
    socket.send(JSON.stringify({ auth: { token: options.token } }));
    socket.send(JSON.stringify({ subscribe: { id: 'a', channel: options.channel } }));
  };
  socket.onclose = ({ code, reason }) => {
    errors.push(`closed: ${code} ${reason}`);
    subscribed.reject(new Error(`the server closed: ${code} ${reason}`));
  };
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(String(data)) as Record<string, unknown>;
    if ('subscribed' in message) subscribed.resolve();
    if ('error' in message) {
      errors.push(JSON.stringify(message['error']));
      subscribed.reject(new Error(JSON.stringify(message['error'])));
    }
    for (const kind of ['stale', 'online', 'offline'])
      if (kind in message) presences.push(`${kind} ${(message[kind] as { device: string }).device}`);
    if (!('data' in message)) return;
    const { reports, snapshot } = message['data'] as { reports: SeenReport[]; snapshot?: boolean };
    for (const report of reports) {
      const before = lastSeq.get(report.device) ?? -1;
      if (report.seq <= before) errors.push(`${report.device}: seq ${report.seq} after ${before}`);
      lastSeq.set(report.device, report.seq);
      const values = snapshot === true ? first : live;
      values.set(report.device, [...(values.get(report.device) ?? []), report.readings[0]?.value]);
      if (snapshot !== true) logReports.push({ report, atMs: Date.now() });
    }
  };
  await subscribed.promise;
  return {
    get reports() {
      return logReports.length;
    },
    values: (device) => live.get(device) ?? [],
    snapshot: (device) => first.get(device) ?? [],
    logReports,
    presences,
    until: (reports, deadlineMs) =>
      eventually(
        () => {
          if (errors.length > 0) throw new Error(`${options.channel}: ${errors.join('; ')}`);
          if (logReports.length < reports)
            throw new Error(`${options.channel}: ${logReports.length} of ${reports} reports`);
        },
        { deadlineMs, describe: `${options.channel} gets ${reports} reports` },
      ),
    close() {
      socket.onclose = null;
      socket.close();
    },
  };
}
