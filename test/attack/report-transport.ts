import { Agent, request } from 'node:http';
import mqtt, { type MqttClient } from 'mqtt';

/** How an honest device sends a report. */
export interface ReportTransport {
  /** Resolves with the reason if it was not accepted. */
  send(body: string): Promise<string | undefined>;
  /** Closes at once. */
  close(): void;
}

const answerDeadlineMs = 15_000;

/** One connection, which stays. */
export class HttpTransport implements ReportTransport {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #ingestPort: number;
  readonly #token: string;

  constructor(ingestPort: number, token: string) {
    this.#ingestPort = ingestPort;
    this.#token = token;
  }

  close(): void {
    this.#agent.destroy();
  }

  send(body: string): Promise<string | undefined> {
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const headers = {
      authorization: `Bearer ${this.#token}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    const address = { method: 'POST', host: '127.0.0.1', port: this.#ingestPort, path: '/v1/ingest' };
    const options = { agent: this.#agent, ...address, headers, timeout: answerDeadlineMs };
    const sent = request(options, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      answer.on('end', () => {
        const isAccepted = answer.statusCode === 202 && text.includes('"accepted":1');
        resolve(isAccepted ? undefined : `${answer.statusCode} ${text.slice(0, 200)}`);
      });
      answer.on('error', (error) => resolve(error.message));
    });
    sent.on('timeout', () => sent.destroy(new Error(`no answer within ${answerDeadlineMs} ms`)));
    sent.on('error', (error) => resolve(error.message));
    sent.end(body);
    return promise;
  }
}

export interface MqttTransportOptions {
  readonly device: string;
  readonly mqttPort: number;
  readonly token: string;
  /** Reports after which the device connects again. */
  readonly reportsPerConnection: number;
}

/** A connection that is open. */
interface OpenMqtt {
  readonly client: MqttClient;
  /** Rejects when the connection is closed: MQTT.js would keep what was not acknowledged, and wait. */
  readonly closed: Promise<never>;
}

/** QoS 1, with a session that is stored, and a will: what others could use up. */
export class MqttTransport implements ReportTransport {
  readonly #options: MqttTransportOptions;
  #open: OpenMqtt | undefined;
  #reports = 0;

  constructor(options: MqttTransportOptions) {
    this.#options = options;
  }

  close(): void {
    this.#open?.client.end(true);
    this.#open = undefined;
  }

  async send(body: string): Promise<string | undefined> {
    try {
      this.#open ??= await this.#connect();
      const { client, closed } = this.#open;
      // Rejects for a PUBACK that is a refusal, too.
      await withDeadline(Promise.race([client.publishAsync(this.#topic, body, { qos: 1 }), closed]));
      if (++this.#reports % this.#options.reportsPerConnection > 0) return undefined;
      // Without DISCONNECT, as a device whose link is lost: it resumes its session, and stays online.
      this.close();
      return undefined;
    } catch (error) {
      this.close();
      return `MQTT: ${(error as Error).message}`;
    }
  }

  get #topic(): string {
    return `${this.#options.device.replaceAll('.', '/')}/telemetry`;
  }

  async #connect(): Promise<OpenMqtt> {
    const { device, mqttPort, token } = this.#options;
    const properties = { sessionExpiryInterval: 600 };
    const will = { payload: Buffer.from('true'), qos: 1 as const, properties: { willDelayInterval: 600 } };
    const client = await mqtt.connectAsync(
      `mqtt://127.0.0.1:${mqttPort}`,
      {
        ...{ clientId: device, username: device, password: token, protocolVersion: 5, clean: false },
        ...{ properties, will: { topic: `${this.#topic}/lost`, ...will } },
        ...{ connectTimeout: answerDeadlineMs, reconnectPeriod: 0 },
      },
      false,
    );
    client.on('error', () => {});
    const closed = new Promise<never>((_, reject) => {
      client.once('close', () => {
        if (this.#open?.client === client) this.#open = undefined;
        reject(new Error('the connection was closed'));
      });
    });
    closed.catch(() => {});
    return { client, closed };
  }
}

function withDeadline<T>(promise: Promise<T>): Promise<T> {
  const deadline = new Promise<never>((_, reject) => {
    const error = new Error(`no answer within ${answerDeadlineMs} ms`);
    setTimeout(() => reject(error), answerDeadlineMs).unref();
  });
  return Promise.race([promise, deadline]);
}
