import { listEntries, type StoredEntry, verifyChains } from '@tailrace/control/audit/audit-store';
import type { Database } from '@tailrace/database/database';
import { tailrace } from '@tailrace/protocol/generated';
import { eventsTopic } from '../../services/fanout/test/fanout-options.ts';
import type { ControlFacts, EntryFacts, TransitionFacts } from './command-checker.ts';
import type { ControlSide } from './control-side.ts';

const states = ['', 'accepted', 'queued', 'sent', 'delivered', 'done', 'failed', 'expired', 'canceled', 'unconfirmed'];

/** Reads what the log and the store have at the end of a run. */
export async function readControlFacts(side: ControlSide, run: (ms: number) => Promise<void>): Promise<ControlFacts> {
  const { world, store } = side;
  const events = await world.records(eventsTopic);
  const audit = await world.records('tailrace.audit');
  const rest = await store.inspect(fromStore, run);
  const logged = events.flatMap(({ value }): TransitionFacts[] => {
    const { commandTransition } = tailrace.v1.Event.decode(value);
    if (commandTransition == null) return [];
    const { id, key, number, state, final } = commandTransition;
    const names = { command: id ?? '', key: key ?? '', number: number ?? 0, state: states[state ?? 0] ?? '' };
    return [{ ...names, isFinal: final ?? false }];
  });
  const published = audit.map(({ value }) => JSON.parse(Buffer.from(value).toString()) as EntryFacts);
  return { ...rest, logged, published };
}

async function fromStore(database: Database): Promise<Omit<ControlFacts, 'logged' | 'published'>> {
  const stored = await database.query<TransitionFacts>(
    `SELECT command, key, command_transitions.number, command_transitions.state, command_transitions.is_final AS "isFinal"
       FROM command_transitions JOIN commands ON commands.id = command ORDER BY commands.position, 3`,
  );
  const outbox = await database.query<{ rows: number }>('SELECT count(*) AS rows FROM outbox');
  const entries: StoredEntry[] = [];
  for (;;) {
    const page = await listEntries(database, { limit: 1_000, after: entries.at(-1)?.position ?? 0 });
    entries.push(...page);
    if (page.length < 1_000) break;
  }
  const { broken } = await verifyChains(database);
  return {
    ...{ stored: stored.rows, broken, unpublished: outbox.rows[0]!.rows },
    entries: entries.map(({ chain, number, hash, entry }) => ({ chain, number, hash, ...entry })),
  };
}
