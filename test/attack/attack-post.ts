import { encodeReport } from '@tailrace/protocol/report-proto';
import { type FloodReport, floodBody } from '@tailrace/testkit/name-flood';
import type { AttackContext } from './attack-definition.ts';

const answerDeadlineMs = 20_000;

/** Posts a body as the attacker, and counts its refusals. Resolves with the status; 0: no answer. */
export async function post(
  context: AttackContext,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): Promise<number> {
  const { addresses, counts, token } = context;
  try {
    const answer = await fetch(`http://127.0.0.1:${addresses.ingestPort}/v1/ingest`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
      body: body as NonNullable<RequestInit['body']>,
      signal: AbortSignal.timeout(answerDeadlineMs),
    });
    const text = await answer.text();
    if (answer.status === 202) counts.rejected(text);
    else counts.response({ status: answer.status, body: text });
    return answer.status;
  } catch {
    counts.add('no answer');
    return 0;
  }
}

/** Posts reports as Protobuf, which costs the sender least. */
export function postReports(context: AttackContext, reports: readonly FloodReport[]): Promise<number> {
  return post(context, floodBody(reports), { 'content-type': 'application/x-protobuf' });
}

/** Returns a report of readings with long texts. The limit of a report is 256 KiB. */
export function largeReport(device: string, readings: number, characters: number, marker: string): FloodReport {
  const text = `${marker} `.padEnd(characters, 'x');
  const report = {
    device,
    time: Date.now(),
    readings: Array.from({ length: readings }, (_, i) => ({ tag: `${marker}-${i}`, value: text })),
  };
  return { device, bytes: encodeReport(report) };
}

/** Returns a small report of each device. */
export function smallReports(devices: readonly string[], value: number): FloodReport[] {
  const time = Date.now();
  return devices.map((device) => ({ device, bytes: encodeReport({ device, time, readings: [{ tag: 'n', value }] }) }));
}
