import { createStream } from '@tailrace/client';

const stream = createStream({ url: 'ws://localhost:8081', token: 'eyJ...' });

stream.subscribe('plant1.>', {
  tags: ['temperature', 'running'],
  deadband: { percent: 1 },
  maxRate: 5,
  delta: true,
  onReports: (reports) => console.log(reports.length),
  onSkipped: (skipped) => console.log('left out', skipped),
  onPresence: ({ device, state, since }) => console.log(device, state, since),
});

stream.subscribe('plant1.line3.>', {
  align: 1000,
  onCut: ({ at, reports, late }) => console.log('everything as of', at, reports, late),
});
