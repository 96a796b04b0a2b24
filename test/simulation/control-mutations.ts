import { Journal } from '@tailrace/control/journal';
import type { EventLog } from '@tailrace/eventlog/event-log';
import { replaceProperty } from '@tailrace/testkit/replace-property';
import type { ControlSideOptions } from './control-side.ts';
import type { Mutation } from './mutations.ts';

/** Changes parts of statements. */
function statements(changes: Readonly<Record<string, string>>): ControlSideOptions {
  return {
    statement(sql) {
      let changed = sql;
      for (const [part, by] of Object.entries(changes)) changed = changed.replaceAll(part, by);
      return changed;
    },
  };
}

/** Mechanisms of commands, leases and audit. Found by the seeds with control. */
export const controlMutations: Readonly<Record<string, Mutation>> = {
  'a request to an ingest node is not noted before it is sent': {
    control: statements({
      'SET is_requested = true, node = request.node': 'SET is_requested = false, node = request.node',
    }),
  },
  'a final state does not stop a command': {
    control: statements({
      'is_final = transition."isFinal",': 'is_final = transition."isFinal" AND false,',
      'CREATE UNIQUE INDEX command_transitions_final': 'CREATE INDEX command_transitions_final',
    }),
  },
  'the key of a command is not remembered': {
    control: statements({
      'WHERE sender = item.sender AND key = item.key': 'WHERE sender = item.sender AND key = item.key AND false',
      ',\n  UNIQUE (sender, key)': '',
      'ON CONFLICT (sender, key) DO NOTHING': '',
    }),
  },
  'leases of others do not count': {
    control: statements({
      'FROM leases WHERE scope = ANY (': 'FROM leases WHERE false AND scope = ANY (',
    }),
  },
  'a record of the outbox is removed before it is in the log': {
    control: {
      controlLog: (eventLog: EventLog) => ({
        ...eventLog,
        append: (topic, records) =>
          eventLog.append(topic, records).catch(() => records.map(() => ({ partition: 0, seq: 0 }))),
      }),
    },
  },
  'a refusal is not in the audit': {
    weaken() {
      const { append } = Journal.prototype;
      return replaceProperty(Journal.prototype, 'append', function (this: Journal, transaction, acts) {
        return append.call(
          this,
          transaction,
          acts.filter(({ entry }) => entry.result !== 'refused'),
        );
      });
    },
  },
};
