import { createStream } from '@tailrace/client';

// Anything that outlives the program: a file, a database, localStorage.
const kept = new Map<string, string>();

const stream = createStream({ url: ['wss://a.example', 'wss://b.example'], token: async () => 'eyJ...' });

const subscription = stream.subscribe('plant1.line3.press7', {
  after: kept.get('press7'),
  onReports(reports) {
    console.log(reports.length, 'reports');
    if (subscription.position !== undefined) kept.set('press7', subscription.position);
  },
  onState(state) {
    if (state.name === 'live' && state.recovered === false) {
      console.warn('cannot be delivered:', state.missing ?? state.error?.message);
    }
  },
});
