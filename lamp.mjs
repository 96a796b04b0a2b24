const [url, token] = process.argv.slice(2);
const socket = new WebSocket(url, ['tailrace.device.v1.json']);
const send = (message) => socket.send(JSON.stringify(message));
const done = new Map();
let isOn = false;

function obey(name) {
  if (name !== 'on' && name !== 'off') return { state: 'failed', code: 'not_found', message: `no command ${name}` };
  isOn = name === 'on';
  send({ type: 'status', msgid: crypto.randomUUID(), payload: { readings: [{ tag: 'on', value: isOn }] } });
  return { state: 'done' };
}

socket.onmessage = ({ data }) => {
  const { type, msgid, payload } = JSON.parse(data);
  if (type === 'hello') {
    send({ type: 'auth', payload: { device: 'home.lamp', token, challenge: payload.challenge, protocols: ['command'] } });
  } else if (type === 'welcome') {
    console.log('connected');
  } else if (type === 'command') {
    send({ type: 'ack', msgid });
    // The server sends a command again if the ack was lost: it is executed once.
    if (!done.has(msgid)) done.set(msgid, obey(payload.name));
    send({ type: 'reply', payload: { command: msgid, ...done.get(msgid) } });
  }
};
