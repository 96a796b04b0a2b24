import { join } from 'node:path';
import { eventually } from '@tailrace/testkit/eventually';
import { type OpcuaPeer, startNodeOpcuaServer } from '../../services/edge/test/opcua-peer.ts';
import { Ledger } from './ledger.ts';
import type { Sender } from './paced-sender.ts';

const device = 'plant1.gateway.oven1';
const tag = 'level';
/** Of the server: its first variable. */
const variable = 't0';
/**
 * Values a second: the server samples its variable every 50 ms, and half as often while all processes of a run share two
 * processors. Of two values within a sampling interval it has one.
 */
const perSecond = 4;
const finishMs = 60_000;
/** A gateway that is killed starts again, loads the library, and makes a session. */
const lossSecondsMax = 30;

/**
 * A machine with an OPC UA server, which the gateway of `GatewaySender` reads: its value counts. A message is one
 * value. What the server has while no gateway is subscribed is lost.
 */
export class OpcuaSender implements Sender {
  readonly ledger = new Ledger('OPC UA', (report) =>
    report.device === device
      ? report.readings.flatMap((reading) =>
          reading.tag === tag && reading.quality !== 'bad' && Number(reading.value) > 0
            ? [`${device} ${reading.value}`]
            : [],
        )
      : [],
  );
  readonly inFlightMax = 5 * perSecond;
  readonly lossMax = lossSecondsMax * perSecond;
  readonly #sentMs = new Map<string, number>();
  #server: Promise<OpcuaPeer> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isSending = false;
  #count = 0;
  /** Whether the gateway has read the first value: 0. */
  #isSubscribed = false;

  /** Starts the server. Resolves with its entry of the sources file. `folder`: for its certificates. */
  async listen(folder: string): Promise<object> {
    this.#server = startNodeOpcuaServer(join(folder, 'opcua-server'));
    const { port } = await this.#server;
    return {
      name: 'oven',
      opcua: { endpoint: `opc.tcp://127.0.0.1:${port}`, security: 'None', publishMs: 100 },
      tags: [{ device, tag, node: `ns=1;s=${variable}`, sampleMs: 50 }],
    };
  }

  /** Ingest has accepted a reading of the gateway. */
  acknowledged(from: string | undefined, name: string, value: unknown): void {
    if (from !== device || name !== tag) return;
    this.#isSubscribed = true;
    const key = `${device} ${value}`;
    const sentMs = this.#sentMs.get(key);
    if (sentMs === undefined) return;
    this.#sentMs.delete(key);
    this.ledger.acknowledge(key, sentMs);
  }

  async start(): Promise<void> {
    await eventually(() => this.#isSubscribed, {
      deadlineMs: finishMs,
      pollMs: 20,
      describe: 'the gateway reads OPC UA',
    });
    this.#isSending = true;
    await this.#sendNext(await this.#server!);
  }

  /** The next value is sent when the server has answered the last one, so that no two come at once. */
  async #sendNext(server: OpcuaPeer): Promise<void> {
    const key = `${device} ${++this.#count}`;
    this.ledger.send(key);
    this.#sentMs.set(key, performance.now());
    await server.ask({ set: [variable, this.#count] });
    if (!this.#isSending) return;
    this.#timer = setTimeout(() => void this.#sendNext(server), 1_000 / perSecond);
  }

  #stopSending(): void {
    this.#isSending = false;
    clearTimeout(this.#timer);
  }

  /** Resolves when ingest has the last value. */
  async finish(): Promise<void> {
    this.#stopSending();
    const last = `${device} ${this.#count}`;
    await eventually(() => !this.#sentMs.has(last), {
      ...{ deadlineMs: finishMs, pollMs: 20, describe: 'the last value of OPC UA is acknowledged' },
    });
  }

  async stop(): Promise<void> {
    this.#stopSending();
    const server = this.#server;
    this.#server = undefined;
    await (await server)?.stop();
  }
}
