import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { RepeatLookup } from './repeat-lookup.ts';

const { OwnerRequest, OwnerReply } = tailrace.v1;

/** An owner that has decided from `decidedFrom` on, and read up to `next`; every tenth position repeats an ID. */
function lookup(owner: { decidedFrom?: number; next: number; node?: string | undefined }) {
  const asked: string[] = [];
  const bus = {
    async request(subject: string, bytes: Uint8Array): Promise<Uint8Array[]> {
      const { node, partition, held, repeats } = OwnerRequest.decode(bytes);
      assert.deepEqual([node, held], ['', 0], 'it holds no interest there');
      const [from, until] = [repeats!.from!, repeats!.until!];
      asked.push(`${subject} ${partition} ${from} ${until}`);
      if (owner.next < 0) throw new TailraceError('unavailable', 'no node answers');
      const end = Math.min(until, owner.next);
      const positions = Array.from({ length: Math.max(0, end - from) }, (_, i) => from + i);
      const repeated = positions.filter((seq) => seq % 10 === 0).map((seq) => seq - from);
      const { decidedFrom } = owner;
      return [
        OwnerReply.encode({ next: end, repeated, ...(decidedFrom === undefined ? {} : { decidedFrom }) }).finish(),
      ];
    },
  };
  const made = new RepeatLookup({ bus, ownerOf: () => ('node' in owner ? owner.node : 'a'), deadlineMs: 1_000 });
  return { asked, repeatsOf: made.repeatsOf.bind(made) };
}

test('the owner is asked once for clients that come back to nearly the same position', async () => {
  const { repeatsOf, asked } = lookup({ decidedFrom: 0, next: 5_000 });
  const known = await Promise.all([3_100, 3_105, 3_090].map((from) => repeatsOf(2, from, 4_000)));
  for (const each of known) {
    assert.equal(each?.has(3_110), true);
    assert.equal(each?.has(3_111), false);
  }
  assert.deepEqual(asked, ['tailrace.v1.owner.a 2 3072 4000']);
  assert.ok(await repeatsOf(2, 3_500, 4_500));
  assert.equal(asked.length, 2);
});

test('an owner that does not know as far back is asked for exactly the range; one that does not know all of it is no help', async () => {
  const late = lookup({ decidedFrom: 3_100, next: 5_000 });
  assert.ok(await late.repeatsOf(0, 3_100, 4_000));
  assert.deepEqual(late.asked, ['tailrace.v1.owner.a 0 3072 4000', 'tailrace.v1.owner.a 0 3100 4000']);
  assert.equal(await late.repeatsOf(0, 3_099, 4_000), undefined);
  assert.equal(await lookup({ decidedFrom: 0, next: 3_999 }).repeatsOf(0, 3_100, 4_000), undefined);
});

test('without an owner, or one that answers, or one that knows the question, nothing is known', async () => {
  assert.equal(await lookup({ decidedFrom: 0, next: 9, node: undefined }).repeatsOf(0, 1, 5), undefined);
  assert.equal(await lookup({ decidedFrom: 0, next: -1 }).repeatsOf(0, 1, 5), undefined);
  assert.equal(await lookup({ next: 9 }).repeatsOf(0, 1, 5), undefined);
});
