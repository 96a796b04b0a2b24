import { createStream } from '@tailrace/client';

const stream = createStream({ url: 'ws://localhost:8081', token: 'eyJ...' });

for await (const { device, readings } of stream.subscribe('plant1.line3.>')) {
  console.log(device, readings);
  if (readings.some(({ tag, value }) => tag === 'state' && value === 'done')) break; // unsubscribes
}
stream.close();
