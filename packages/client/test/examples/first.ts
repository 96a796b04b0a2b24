import { createStream } from '@tailrace/client';

const stream = createStream({ url: 'ws://localhost:8081', token: 'eyJ...' });

stream.onState((state) => console.log(state));

stream.subscribe('plant1.line3.>', {
  onSnapshot: (reports) => console.log('last values', reports),
  onReports: (reports) => {
    for (const { device, time, readings } of reports) console.log(device, new Date(time), readings);
  },
});
