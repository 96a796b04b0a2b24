const [url, token] = process.argv.slice(2);
const socket = new WebSocket(url, ['tailrace.device.v1.json']);
const send = (message) => socket.send(JSON.stringify(message));

socket.onmessage = ({ data }) => {
  const { type, msgid, payload } = JSON.parse(data);
  if (type === 'hello') {
    send({ type: 'auth', payload: { device: 'home.boiler', token, challenge: payload.challenge } });
  } else if (type === 'welcome') {
    send({ type: 'status', msgid: 'm1', payload: { readings: [{ tag: 'pressure', value: 1.4, unit: 'bar' }] } });
    send({ type: 'event', msgid: 'm2', payload: { name: 'burner_on' } });
  } else {
    console.log(type, msgid ?? '', JSON.stringify(payload));
    if (msgid === 'm2') send({ type: 'bye' });
  }
};
socket.onclose = ({ code, reason }) => console.log('closed', code, reason);
