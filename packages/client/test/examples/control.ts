import { createStream } from '@tailrace/client';
import { createControl } from '@tailrace/client/control';

const stream = createStream({ url: 'ws://localhost:8081', token: 'eyJ...' });
const control = createControl(stream);

const alarms = control.alarms('plant1.>');
alarms.onChange(() => console.log(alarms.isLive, alarms.current));

const command = control.command({ device: 'plant1.line3.press7', name: 'set', params: { stroke_rate: 12 } });
command.onState(({ state }) => console.log(state));
command.result.then(
  ({ state }) => console.log('final', state),
  (error) => console.log('refused', error),
);

alarms.onTransition(async (transition) => {
  if (transition.priority === 5) console.log('in the audit as', await control.acknowledge(transition, 'seen'));
});
