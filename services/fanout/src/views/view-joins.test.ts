import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Data, serverMessageFromBytes, serverMessageFromJson } from '@tailrace/protocol/server-message';
import fc from 'fast-check';
import { createLocalNode, type LocalNode } from '../../test/local-node.ts';
import { record } from '../../test/records.ts';
import type { Channel } from '../channels/channels.ts';
import { LogReport } from '../channels/log-report.ts';
import type { View } from './view.ts';
import { noOptions, type ViewOptions, type Encoding } from './view-options.ts';

/** A client as a program writes it, on a view of everything: of each tag of each device the last value that it was told. */
class Screen {
  readonly values = new Map<string, number>();
  /** Positions told, and how many a frame says were left out. */
  readonly told: number[] = [];
  left = 0;
  /** Position of the newest report when it left the topic; undefined while it is on it. */
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

  /** Off the topic: it is slow, or paused. */
  goAway(): void {
    this.#node.views.flush(this.#view);
    this.awaySeq = this.#node.partitions[0]!.next - 1;
    this.#view.sockets--;
  }

  comeBack(log: readonly LogReport[]): void {
    this.#node.views.flush(this.#view);
    const missed = this.#view.shaped(log.filter(({ seq }) => seq > this.awaySeq!));
    if (missed.length > 0) this.#read(this.#view.frame(missed, {}));
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
      if (!snapshot) assert.ok(seq > (this.told.at(-1) ?? -1), `${seq} after ${this.told.at(-1)}`);
      this.told.push(seq);
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
      // Few, so that they are near each other, and come back.
      values: fc.dictionary(tag, fc.constantFrom(-2, 0, 1, 2, 3, 4), { minKeys: 1, noNullPrototype: true }),
    }),
  },
  { weight: 2, arbitrary: fc.constantFrom({ join: 'json' } as const, { join: 'proto' } as const) },
  { weight: 1, arbitrary: fc.record({ leave: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ away: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ passMs: fc.constantFrom(1, 120, 600) }) },
);

const wishes: fc.Arbitrary<ViewOptions> = fc.record(
  {
    maxRate: fc.constantFrom(1, 10),
    deadband: fc.constantFrom({ absolute: 3 }, { absolute: 0 }, { percent: 50 }),
    tags: fc.constantFrom(['t'], ['t', 'v']),
    delta: fc.constant(true as const),
  },
  { requiredKeys: [], noNullPrototype: true },
);

/** What is told may be as far from what is. */
function isNear(told: number, is: number, { deadband = { absolute: 0 } }: ViewOptions): boolean {
  const { absolute, percent } = deadband;
  const far = Math.abs(told - is);
  return far <= (absolute ?? far) && (percent === undefined || far <= (Math.abs(told) * percent) / 100);
}

test('whoever joins, lags, catches up and leaves when, every screen ends with what is, in order', async () => {
  const steps = fc.array(step, { maxLength: 30, size: 'max' });
  await fc.assert(
    fc.asyncProperty(wishes, steps, async (options, all) => {
      const node = createLocalNode({ partitions: 1, keyFrameMs: 500 });
      const partition = node.partitions[0]!;
      const log: LogReport[] = [];
      const last = new Map<string, number>();
      const screens: Screen[] = [];
      for (const each of all) {
        if ('device' in each) {
          const said = record(each.device, partition.next, each.values);
          log.push(new LogReport(0, said.seq, said.value));
          for (const [name, value] of Object.entries(each.values)) last.set(`${each.device} ${name}`, value);
          partition.accept([said]);
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
          const told = screen.values.get(name);
          if (options.tags?.includes(name.split(' ')[1]!) === false) assert.equal(told, undefined);
          else assert.ok(told !== undefined && isNear(told, is, options), `${name} is ${is}, and is shown as ${told}`);
        }
      }
      for (const screen of screens) screen.leave();
      assert.deepEqual([node.views.size, node.views.told.readings, node.views.paced.bytes], [0, 0, 0]);
      assert.equal(node.clock.pending(), 0);
    }),
    { seed: 20_241_121, numRuns: 1_000 },
  );
});

test('a view without wishes, or with a rate only, leaves out nothing unsaid', async () => {
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
        assert.equal(screen.told.length + screen.left, reports.length);
      },
    ),
    { seed: 20_241_121 },
  );
});
