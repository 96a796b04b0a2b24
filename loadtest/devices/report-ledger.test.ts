import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReportLedger } from './report-ledger.ts';

test('a report that was acknowledged and not delivered is missing, one that is delivered again is doubled', () => {
  const ledger = new ReportLedger();
  for (let counter = 1; counter <= 200; counter++) ledger.addAcknowledged(counter);
  for (let counter = 1; counter <= 200; counter++) if (counter !== 70 && counter !== 71) ledger.addDelivered(counter);
  assert.equal(ledger.missing, 2);
  ledger.addDelivered(70);
  ledger.addDelivered(200);
  // Without an acknowledgment: its loss would be none.
  ledger.addDelivered(201);
  const { acknowledged, delivered, missing, doubled, disordered } = ledger;
  assert.deepEqual(
    { acknowledged, delivered, missing, doubled, disordered },
    { acknowledged: 200, delivered: 200, missing: 1, doubled: 1, disordered: 1 },
  );
});
