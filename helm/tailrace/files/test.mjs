// `helm test` runs this after token.mjs: it publishes a report over HTTP and receives it over a WebSocket, through the
// Services. It passes when it receives that report; otherwise it exits with 1 and prints the step that it reached.
const { TOKEN_SECRET, TOKEN_CLAIMS, INGEST_URL, STREAMS_URL } = process.env;
const token = signedToken(TOKEN_SECRET, JSON.parse(TOKEN_CLAIMS), 600);
const device = 'helmtest.probe';
const id = `helm-test-${process.pid}-${Date.now()}`;
let reached = `connecting to ${STREAMS_URL}`;

function exit(code, sentence) {
  console.log(sentence);
  process.exit(code);
}

setTimeout(() => exit(1, `failed: nothing within 60 s; got as far as: ${reached}`), 60_000);

async function publish() {
  const report = { device, time: Date.now(), id, readings: [{ tag: 'test', value: true }] };
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const answer = await fetch(`${INGEST_URL}/v1/ingest`, { method: 'POST', headers, body: JSON.stringify(report) });
  if (answer.status !== 202) exit(1, `failed: ingest answered ${answer.status} ${await answer.text()}`);
  reached = `${INGEST_URL} accepted the report`;
}

/** Retries with the same id, so that it is delivered once. */
function publishUntilAccepted() {
  publish().catch((error) => {
    reached = `${INGEST_URL}, which does not answer: ${error.cause ?? error}`;
    setTimeout(publishUntilAccepted, 500);
  });
}

function connect() {
  const socket = new WebSocket(`${STREAMS_URL}/v1/stream`, 'tailrace.v1.json');
  let isOpen = false;
  socket.onopen = () => {
    isOpen = true;
    reached = 'connected';
    socket.send(JSON.stringify({ auth: { token } }));
  };
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.error) exit(1, `failed: the stream answered ${data}`);
    if (message.welcome) socket.send(JSON.stringify({ subscribe: { id: 'test', channel: device, snapshot: false } }));
    if (message.subscribed) {
      reached = 'subscribed';
      publishUntilAccepted();
    }
    if (message.data && data.includes(id))
      exit(0, `passed: ${id} went to ${INGEST_URL} and came back from ${STREAMS_URL}`);
  };
  // Where no connection was made, Node.js emits an error, and not always a close.
  socket.onerror = () => {
    if (isOpen) return;
    socket.onclose = null;
    // After an install or a restart, Services and policies take a moment to reach every machine.
    reached = `connecting to ${STREAMS_URL}, which does not answer`;
    setTimeout(connect, 500);
  };
  socket.onclose = ({ code, reason }) =>
    exit(1, `failed: the stream was closed with ${code} ${reason}; got as far as: ${reached}`);
}
connect();
