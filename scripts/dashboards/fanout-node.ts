import type { Dashboard } from './dashboard.ts';
import { catchUpRow, clientRow, limitRow } from './fanout-clients.ts';
import { logRow, presenceRow, ringRow } from './fanout-log.ts';
import { jobVariable, nodes, nodeVariable, processPanels } from './parts.ts';

export const fanoutNode: Dashboard = {
  uid: 'tailrace-fanout-node',
  title: 'Tailrace / Fanout node',
  description: 'One or several nodes: what they read, their clients, how fast those read, and how near the limits are.',
  variables: [jobVariable, nodeVariable('tailrace_fanout_connections')],
  rows: [
    clientRow,
    logRow,
    catchUpRow,
    ringRow,
    limitRow,
    presenceRow,
    { title: 'Process', panels: processPanels(`${nodes},service=~"fanout|standalone"`) },
  ],
};
