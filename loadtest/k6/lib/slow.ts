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
 * One VU that watches all devices and takes a frame only every SLOW_MS. It is made with k6/ws, whose handlers hold up reading: k6/websockets reads ahead into
 * memory without bound, so that no server would ever notice. A hole that it was not told of counts as everybody's.
 */
export function readSlowly(plan: Plan, run: Run, vu: number): void {
  const { targets, encoding, slowMs, devices, line } = plan.settings;
  const codec = codecs[encoding];
  const channel = new Plant(run.root, devices, line).everything();
  const clock = new ServerClock(() => Date.now(), run.offsetMs);
  const tally = new Tally(`slow client ${vu}`, channel.devices, () => clock.now());
  const endMs = run.beginMs + plan.lastsMs;
  for (let turn = vu; Date.now() < endMs && !tally.isComplete; turn++) {
    const url = `${targets[turn % targets.length]}/v1/stream`;
    const params = { headers: { 'Sec-WebSocket-Protocol': codec.subprotocol }, tags: { name: 'slow' } };
    ws.connect(url, params, (socket) => {
      const send = (frame: string | ArrayBuffer) =>
        typeof frame === 'string' ? socket.send(frame) : socket.sendBinary(frame);
      const take = (frame: string | ArrayBuffer) => {
        const word = codec.decode(frame, channel, tally);
        if (word !== undefined && 'subscribed' in word) {
          tally.addMissing(word.subscribed.missing ?? []);
          tally.start(word.subscribed.position);
        }
        const leftMs = endMs - Date.now();
        if (tally.isComplete || leftMs <= 0) socket.close();
        // What is still under way when the devices have ended is read at once.
        else if (word === undefined && Date.now() - run.beginMs < plan.settings.durationMs) sleep(slowMs / 1000);
      };
      socket.on('open', () => {
        const after = tally.token;
        send(codec.encode({ auth: { token: run.token } }));
        send(
          codec.encode({
            subscribe: { id: 'a', channel: channel.pattern, ...(after === undefined ? {} : { after }) },
          }),
        );
        socket.setTimeout(() => socket.close(), Math.max(1, endMs - Date.now()));
      });
      socket.on('message', take);
      socket.on('binaryMessage', take);
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
  measures.foreign.add(tally.counts.foreign);
  measures.undelivered.add(tally.devices - tally.counts.finished);
  if (tally.firstError !== '') console.error(tally.firstError);
}
