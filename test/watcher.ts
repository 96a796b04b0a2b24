import { eventually } from '@tailrace/testkit/eventually';

interface SeenReport {
  readonly device: string;
  readonly partition: number;
  readonly seq: number;
  readonly readings: readonly { readonly tag: string; readonly value: unknown }[];
}

/**
 * A client that knows nothing of Tailrace but docs/PROTOCOL.md, over Node's own WebSocket: it notes what it is shown,
 * and that no device's position ever goes back.
 */
export interface Watcher {
  /** Live reports so far, snapshots not counted. */
  readonly reports: number;
  /** First values of the live reports of a device, in the order they came. */
  values(device: string): readonly unknown[];
  /** Last values shown at the beginning. */
  snapshot(device: string): readonly unknown[];
  /** Every report so far with when it came. */
  readonly logReports: readonly { readonly report: SeenReport; readonly atMs: number }[];
  until(reports: number, deadlineMs: number): Promise<void>;
  close(): void;
}

/** Connects and subscribes; resolves when the server says `subscribed`. */
export async function createWatcher(options: { url: string; token: string; channel: string }): Promise<Watcher> {
  const socket = new WebSocket(`${options.url}/v1/stream`, ['tailrace.v1.json']);
  const live = new Map<string, unknown[]>();
  const first = new Map<string, unknown[]>();
  const lastSeq = new Map<string, number>();
  const logReports: { report: SeenReport; atMs: number }[] = [];
  const faults: string[] = [];
  const subscribed = Promise.withResolvers<void>();
  socket.onopen = () => {
    socket.send(JSON.stringify({ auth: { token: options.token } }));
    socket.send(JSON.stringify({ subscribe: { id: 'a', channel: options.channel } }));
  };
  socket.onclose = ({ code, reason }) => {
    faults.push(`closed: ${code} ${reason}`);
    subscribed.reject(new Error(`the server closed: ${code} ${reason}`));
  };
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(String(data)) as Record<string, unknown>;
    if ('subscribed' in message) subscribed.resolve();
    if ('error' in message) {
      faults.push(JSON.stringify(message['error']));
      subscribed.reject(new Error(JSON.stringify(message['error'])));
    }
    if (!('data' in message)) return;
    const { reports, snapshot } = message['data'] as { reports: SeenReport[]; snapshot?: boolean };
    for (const report of reports) {
      const before = lastSeq.get(report.device) ?? -1;
      if (report.seq <= before) faults.push(`${report.device}: seq ${report.seq} after ${before}`);
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
    until: (reports, deadlineMs) =>
      eventually(
        () => {
          if (faults.length > 0) throw new Error(`${options.channel}: ${faults.join('; ')}`);
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
