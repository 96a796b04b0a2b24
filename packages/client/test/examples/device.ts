import { DeviceConnection } from '@tailrace/client/device';

const connection = new DeviceConnection({
  url: 'ws://localhost:8082',
  device: 'plant1.line3.press7',
  token: 'eyJ...',
  onState: (state) => console.log(state.name),
  onCommand({ name, params }, answer) {
    answer.delivered();
    console.log('command', name, params);
    answer.reply({ state: 'done' });
  },
});
connection.start();

const { status } = await connection.status([{ tag: 'temperature', value: 42.5, unit: 'Cel' }]);
console.log(status);
await connection.close();
