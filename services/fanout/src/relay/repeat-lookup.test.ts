import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TailraceError } from '@tailrace/protocol/error';
import { tailrace } from '@tailrace/protocol/generated';
import { RepeatLookup } from './repeat-lookup.ts';

const { OwnerRequest, OwnerReply } = tailrace.v1;

/** An owner that knows the duplicates from `decidedFrom` up to `next`; every tenth position repeats an ID. */
function lookup(owner: { decidedFrom?: number; next: number; node?: string | undefined }) {
  const requested: string[] = [];
  const bus = {
    async request(subject: string, bytes: Uint8Array): Promise<Uint8Array[]> {
      const { node, partition, held, repeats } = OwnerRequest.decode(bytes);
      assert.deepEqual([node, held], ['', 0], 'it requests no interest');
      const [from, until] = [repeats!.from!, repeats!.until!];
      requested.push(`${subject} ${partition} ${from} ${until}`);
      if (owner.next < 0) throw new TailraceError('unavailable', 'no node replies');
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
  return { requested, repeatsOf: made.repeatsOf.bind(made) };
}

test('clients that resume from nearly the same position share one request to the owner', async () => {
  const { repeatsOf, requested } = lookup({ decidedFrom: 0, next: 5_000 });
  const known = await Promise.all([3_100, 3_105, 3_090].map((from) => repeatsOf(2, from, 4_000)));
  for (const each of known) {
    assert.equal(each?.has(3_110), true);
    assert.equal(each?.has(3_111), false);
  }
  assert.deepEqual(requested, ['tailrace.v1.owner.a 2 3072 12192']);
  assert.ok(await repeatsOf(2, 3_500, 5_000));
  assert.equal(requested.length, 1, 'the reply has what the owner has read beyond the range');
  assert.equal(await repeatsOf(2, 3_500, 5_001), undefined);
  assert.ok(requested.length > 1);
});

test('an owner that does not know the aligned range is asked for the exact one, and has to know all of it', async () => {
  const late = lookup({ decidedFrom: 3_100, next: 5_000 });
  assert.ok(await late.repeatsOf(0, 3_100, 4_000));
  assert.deepEqual(late.requested, ['tailrace.v1.owner.a 0 3072 12192', 'tailrace.v1.owner.a 0 3100 12192']);
  assert.equal(await late.repeatsOf(0, 3_099, 4_000), undefined);
  assert.equal(await lookup({ decidedFrom: 0, next: 3_999 }).repeatsOf(0, 3_100, 4_000), undefined);
});

test('without an owner, without a reply, or from an owner that ignores the request, the result is undefined', async () => {
  assert.equal(await lookup({ decidedFrom: 0, next: 9, node: undefined }).repeatsOf(0, 1, 5), undefined);
  assert.equal(await lookup({ decidedFrom: 0, next: -1 }).repeatsOf(0, 1, 5), undefined);
  assert.equal(await lookup({ next: 9 }).repeatsOf(0, 1, 5), undefined);
});
