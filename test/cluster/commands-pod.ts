/**
 * In the pod of devices and clients: a device that executes commands, and a sender that requests them from control,
 * both through the Services: `node test/cluster/commands-pod.ts <ingest> <control> <commands> <interval ms>`. Prints a
 * `CommandsSeen`.
 */
import { DeviceConnection } from '@tailrace/client/device';

export interface CommandsSeen {
  readonly commands: number;
  /** Requests that were repeated with the same ID, because control did not answer. */
  readonly repeated: number;
  /** By final state. */
  readonly states: Readonly<Record<string, number>>;
  /** IDs of commands that the device has executed more than once. */
  readonly twice: readonly string[];
  /** IDs of commands with another number of final transitions than one. */
  readonly wrong: readonly string[];
  /** Whether the audit verifies. */
  readonly isAuditValid: boolean;
}

const [ingestUrl = '', controlUrl = '', count = '', intervalMs = ''] = process.argv.slice(2);
const token = process.env['TOKEN'] ?? '';
const device = 'cluster.pump';
const executed = new Map<string, number>();
let repeated = 0;

const connection = new DeviceConnection({
  ...{ url: ingestUrl, device, token },
  onCommand({ id }, answer) {
    executed.set(id, (executed.get(id) ?? 0) + 1);
    answer.reply({ state: 'done', confirmedBy: 'device' });
  },
});
connection.start();

// biome-ignore lint/suspicious/noExplicitAny: the caller names the fields
async function request(method: string, path: string, body?: object): Promise<any> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  for (;;) {
    const sent = fetch(controlUrl + path, { method, headers, ...(body && { body: JSON.stringify(body) }) });
    const answer = await sent.catch(() => undefined);
    if (answer?.ok) return await answer.json();
    // 429: the device has as many open commands as it may, while a process of control is away.
    if (answer !== undefined && answer.status < 500 && answer.status !== 429)
      throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    repeated++;
    await pause(100);
  }
}

/** Interval of the load. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function outcomeOf(id: string): Promise<{ readonly state: string; readonly finals: number }> {
  for (;;) {
    const { state, final, transitions } = await request('GET', `/v1/commands/${id}`);
    const finals = (transitions as { readonly final: boolean }[]).filter((each) => each.final).length;
    if (final) return { state, finals };
    await pause(200);
  }
}

const ids: string[] = [];
for (let n = 0; n < Number(count); n++) {
  const body = { id: `cluster-${n}`, device, name: 'set', params: { n }, deadline: Date.now() + 120_000 };
  ids.push((await request('POST', '/v1/commands', body)).id);
  await pause(Number(intervalMs));
}
const states: Record<string, number> = {};
const wrong: string[] = [];
for (const id of ids) {
  const { state, finals } = await outcomeOf(id);
  states[state] = (states[state] ?? 0) + 1;
  if (finals !== 1) wrong.push(id);
}
const { valid } = await request('GET', '/v1/audit/verify');
const twice = [...executed].filter(([, times]) => times > 1).map(([id]) => id);
const seen: CommandsSeen = { commands: ids.length, repeated, states, twice, wrong, isAuditValid: valid === true };
process.stdout.write(JSON.stringify(seen));
process.exit(0);
