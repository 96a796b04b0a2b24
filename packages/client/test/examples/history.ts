import { createStream } from '@tailrace/client';

const stream = createStream({ url: 'ws://localhost:8081', token: 'eyJ...' });

const replay = stream.subscribe('plant1.line3.press7', {
  from: Date.now() - 3_600_000,
  speed: 60, // an hour in a minute, then live reports
  onReports: (reports) => console.log(reports),
  onState: (state) => console.log(state.name), // paused, waiting, replaying, live
});

replay.pause();
replay.resume({ speed: 10 });
