import mqtt, { type MqttClient } from 'mqtt';
import { idsWith, Ledger } from './ledger.ts';
import { Pace, type Sender } from './paced-sender.ts';

const retryMs = 50;

/** A device on the MQTT listener, by MQTT.js, whose session outlives its connections. */
export class MqttSender implements Sender {
  readonly ledger: Ledger;
  /** MQTT.js does not obey the Receive Maximum of ingest, which disconnects a sender of more. */
  readonly inFlightMax = 40;
  readonly lossMax = 0;
  readonly #client: MqttClient;
  readonly #pace: Pace;
  readonly #device: string;
  readonly #qos: 1 | 2;
  #isStopped = false;

  constructor(options: { port: number; token: string; perSecond: number; qos: 1 | 2 }) {
    const { port, token, perSecond, qos } = options;
    const prefix = `mqtt${qos}-`;
    this.ledger = new Ledger(`MQTT QoS ${qos}`, idsWith(prefix));
    this.#qos = qos;
    this.#device = `qos${qos}`;
    this.#client = mqtt.connect(`mqtt://127.0.0.1:${port}`, {
      ...{ clientId: this.#device, username: `plant1.mqtt.${this.#device}`, password: token, protocolVersion: 5 },
      ...{ clean: false, manualConnect: true, reconnectPeriod: 100, properties: { sessionExpiryInterval: 600 } },
    });
    this.#client.on('error', () => {});
    const { ledger, inFlightMax } = this;
    const send = (id: string, value: number) => this.#send(id, value);
    this.#pace = new Pace({ ledger, inFlightMax, perSecond, send, prefix });
  }

  async start(): Promise<void> {
    this.#client.connect();
    this.#pace.start();
  }

  finish(): Promise<void> {
    return this.#pace.finish();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#pace.stop();
    await this.#client.endAsync(true);
  }

  #send(id: string, value: number): void {
    if (this.#isStopped) return;
    const payload = JSON.stringify({ id, readings: [{ tag: 'n', value }] });
    this.#client.publish(`plant1/mqtt/${this.#device}/telemetry`, payload, { qos: this.#qos }, (error) => {
      if (error === undefined || error === null) this.#pace.acknowledged(id);
      // After a kill the server does not know a packet identifier of QoS 2 (PUBCOMP 0x92): it is sent again.
      else if (!this.#isStopped) setTimeout(() => this.#send(id, value), retryMs);
    });
  }
}
