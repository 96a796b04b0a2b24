import { sleep } from 'k6';
import ws from 'k6/ws';
import { codecs } from './codec.ts';
import { measures } from './measures.ts';
import type { Plan } from './plan.ts';
import { Plant } from './plant.ts';
import { ServerClock } from './server-clock.ts';
import { Tally } from './tally.ts';
import type { Run } from './watch.ts';

/**
 * One VU that watches all devices and reads a frame only every SLOW_MS. It uses k6/ws, whose handlers block reading:
 * k6/websockets reads ahead into memory without a bound, so that a server would never see a slow reader. A gap that no
 * missing range names counts as one of the other clients.
 */
export function readSlowly(plan: Plan, run: Run, vu: number): void {
  const { targets, encoding, slowMs, devices, line } = plan.settings;
  const codec = codecs[encoding];
  const channel = new Plant(run.root, devices, line).everything();
  const clock = new ServerClock(() => Date.now(), run.offsetMs);
  const tally = new Tally(`slow client ${vu}`, channel.devices, () => clock.now());
  const endMs = run.startMs + plan.lastsMs;
  for (let attempt = vu; Date.now() < endMs && !tally.isComplete; attempt++) {
    const url = `${targets[attempt % targets.length]}/v1/stream`;
    const params = { headers: { 'Sec-WebSocket-Protocol': codec.subprotocol }, tags: { name: 'slow' } };
    ws.connect(url, params, (socket) => {
      const send = (frame: string | ArrayBuffer) =>
        typeof frame === 'string' ? socket.send(frame) : socket.sendBinary(frame);
      const onFrame = (frame: string | ArrayBuffer) => {
        const message = codec.decode(frame, channel, tally);
        if (message !== undefined && 'subscribed' in message) {
          tally.addMissing(message.subscribed.missing ?? []);
          tally.start(message.subscribed.position);
        }
        const leftMs = endMs - Date.now();
        if (tally.isComplete || leftMs <= 0) socket.close();
        // After the last reports the backlog is read without a pause.
        else if (message === undefined && Date.now() - run.startMs < plan.settings.durationMs) sleep(slowMs / 1000);
      };
      socket.on('open', () => {
        const after = tally.token;
        send(codec.encode({ auth: { token: run.token } }));
        send(
          codec.encode({ subscribe: { id: 'a', channel: channel.pattern, ...(after === undefined ? {} : { after }) } }),
        );
        socket.setTimeout(() => socket.close(), Math.max(1, endMs - Date.now()));
      });
      socket.on('message', onFrame);
      socket.on('binaryMessage', onFrame);
    });
    if (!tally.isComplete && Date.now() < endMs) {
      measures.losses.add(1, { code: 'slow' });
      sleep(Math.random() / 4);
    }
  }
  measures.slowNamed.add(tally.counts.named);
  measures.slowReports.add(tally.counts.reports);
  measures.gaps.add(tally.counts.gaps);
  measures.duplicates.add(tally.counts.duplicates);
  measures.invalid.add(tally.counts.invalid);
  measures.undelivered.add(tally.devices - tally.counts.finished);
  if (tally.firstError !== '') console.error(tally.firstError);
}
