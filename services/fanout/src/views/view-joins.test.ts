import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Data, serverMessageFromBytes, serverMessageFromJson } from '@tailrace/protocol/server-message';
import fc from 'fast-check';
import { createLocalNode, type LocalNode } from '../../test/local-node.ts';
import { record } from '../../test/records.ts';
import type { Channel } from '../channels/channels.ts';
import { LogReport } from '../channels/log-report.ts';
import type { View } from './view.ts';
import { type Encoding, noOptions, type ViewOptions } from './view-options.ts';

/** A client on a view of all devices: keeps the last value of each tag of each device that it received. */
class Screen {
  readonly values = new Map<string, number>();
  /** The positions received, and the number of reports that frames name as skipped. */
  readonly received: number[] = [];
  left = 0;
  /** The position of the newest report when it left the topic; undefined while it is on it. */
  awaySeq: number | undefined;
  readonly #node: LocalNode;
  readonly #channel: Channel;
  readonly #view: View;
  readonly #topic: { onPublished(topic: string, frame: string | Uint8Array): void };

  constructor(node: LocalNode, encoding: Encoding, options: ViewOptions) {
    this.#node = node;
    const isNew = node.channels.find('>') === undefined;
    this.#channel = node.channels.open('>');
    if (isNew) node.partitions[0]!.admit(this.#channel);
    this.#view = node.views.enter(this.#channel, encoding, options);
    this.#topic = {
      onPublished: (topic, frame) => {
        if (this.awaySeq === undefined && topic === this.#view.topic) this.#read(frame);
      },
    };
    node.views.flush(this.#view);
    const values = this.#view.lastValues([...node.partitions[0]!.lastValues(this.#channel)]);
    if (values.length > 0) this.#read(this.#view.frame(values, { snapshot: true }));
    node.sockets.add(this.#topic);
    this.#view.sockets++;
  }

  /** Leaves the topic, as a slow or paused client does. */
  goAway(): void {
    this.#node.views.flush(this.#view);
    this.awaySeq = this.#node.partitions[0]!.next - 1;
    this.#view.sockets--;
  }

  comeBack(log: readonly LogReport[]): void {
    this.#node.views.flush(this.#view);
    const backlog = [...this.#view.shaped(log.filter(({ seq }) => seq > this.awaySeq!))];
    if (backlog.length > 0) this.#read(this.#view.frame(backlog, {}));
    this.awaySeq = undefined;
    this.#view.sockets++;
  }

  leave(): void {
    this.#node.sockets.delete(this.#topic);
    if (this.awaySeq === undefined) this.#view.sockets--;
    this.#node.views.leave(this.#channel, this.#view);
  }

  #read(frame: string | Uint8Array): void {
    const message = typeof frame === 'string' ? serverMessageFromJson(frame) : serverMessageFromBytes(frame);
    assert.ok(message !== undefined && 'data' in message);
    this.#show(message.data);
  }

  #show({ reports, skipped = [], snapshot = false }: Data): void {
    for (const { device, seq, readings } of reports) {
      if (!snapshot) assert.ok(seq > (this.received.at(-1) ?? -1), `${seq} after ${this.received.at(-1)}`);
      this.received.push(seq);
      for (const { tag, value } of readings) this.values.set(`${device} ${tag}`, Number(value));
    }
    for (const { count } of skipped) this.left += count;
  }
}

const tag = fc.constantFrom('t', 't', 'u');
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      device: fc.constantFrom('p.a', 'p.a', 'q.b'),
      // Few, so that they are close to each other, and repeat.
      values: fc.dictionary(tag, fc.constantFrom(-2, 0, 1, 2, 3, 4), { minKeys: 1, noNullPrototype: true }),
    }),
  },
  { weight: 2, arbitrary: fc.constantFrom({ join: 'json' } as const, { join: 'proto' } as const) },
  { weight: 1, arbitrary: fc.record({ leave: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ away: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ passMs: fc.constantFrom(1, 120, 600) }) },
);

const someOptions: fc.Arbitrary<ViewOptions> = fc.record(
  {
    maxRate: fc.constantFrom(1, 10),
    deadband: fc.constantFrom({ absolute: 3 }, { absolute: 0 }, { percent: 50 }),
    tags: fc.constantFrom(['t'], ['t', 'v']),
    delta: fc.constant(true as const),
  },
  { requiredKeys: [], noNullPrototype: true },
);

/** Returns whether the value received is within the deadband of the current one. */
function isNear(received: number, is: number, { deadband = { absolute: 0 } }: ViewOptions): boolean {
  const { absolute, percent } = deadband;
  const far = Math.abs(received - is);
  return far <= (absolute ?? far) && (percent === undefined || far <= (Math.abs(received) * percent) / 100);
}

test('clients that join, lag, catch up and leave at any time all have the current values, in order', async () => {
  const steps = fc.array(step, { maxLength: 30, size: 'max' });
  await fc.assert(
    fc.asyncProperty(someOptions, steps, async (options, all) => {
      const node = createLocalNode({ partitions: 1, keyFrameMs: 500 });
      const partition = node.partitions[0]!;
      const log: LogReport[] = [];
      const last = new Map<string, number>();
      const screens: Screen[] = [];
      for (const each of all) {
        if ('device' in each) {
          const sent = record(each.device, partition.next, each.values);
          log.push(new LogReport(0, sent.seq, sent.value));
          for (const [name, value] of Object.entries(each.values)) last.set(`${each.device} ${name}`, value);
          partition.accept([sent]);
          node.views.flush();
        } else if ('join' in each) screens.push(new Screen(node, each.join, options));
        else if ('leave' in each) screens.splice(each.leave, 1)[0]?.leave();
        else if ('passMs' in each) await node.clock.advance(each.passMs);
        else {
          const screen = screens[each.away];
          if (screen?.awaySeq === undefined) screen?.goAway();
          else screen.comeBack(log);
        }
      }
      for (const screen of screens) if (screen.awaySeq !== undefined) screen.comeBack(log);
      await node.clock.advance(2_000);
      for (const screen of screens) {
        for (const [name, is] of last) {
          const received = screen.values.get(name);
          if (options.tags?.includes(name.split(' ')[1]!) === false) assert.equal(received, undefined);
          else
            assert.ok(
              received !== undefined && isNear(received, is, options),
              `${name} is ${is}, and is shown as ${received}`,
            );
        }
      }
      for (const screen of screens) screen.leave();
      assert.deepEqual([node.views.size, node.views.lastSent.readings, node.views.paced.bytes], [0, 0, 0]);
      assert.equal(node.clock.pending(), 0);
    }),
    { seed: 20_241_121, numRuns: 1_000 },
  );
});

test('a view without options, or with a rate only, names everything that it leaves out', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom<ViewOptions>(noOptions, { maxRate: 3 }),
      fc.array(fc.tuple(fc.constantFrom('p.a', 'q.b'), fc.constantFrom(0, 0, 0, 50, 400)), { maxLength: 60 }),
      async (options, reports) => {
        const node = createLocalNode({ partitions: 1 });
        const screen = new Screen(node, 'json', options);
        for (const [device, passMs] of reports) {
          node.report(device, 1);
          await node.clock.advance(passMs);
        }
        await node.clock.advance(1_000);
        assert.equal(screen.received.length + screen.left, reports.length);
      },
    ),
    { seed: 20_241_121 },
  );
});
