import { createPublisher } from '@tailrace/client';

const publisher = createPublisher({ url: 'http://localhost:8082', token: 'eyJ...' });

const { accepted, refused } = await publisher.publish({
  device: 'plant1.line3.press7',
  time: Date.now(),
  readings: [{ tag: 'temperature', value: 42.5, unit: 'Cel' }],
});
console.log(accepted, refused);
