import type { WriteResult, WriteTurn } from '../read-back.ts';
import type { Value } from '../sample.ts';
import type { Source, SourceOptions } from '../source.ts';
import { writeRefusal } from '../write-bounds.ts';
import { OpcuaConnection } from './connection.ts';
import type { OpcuaClientOptions, OpcuaEndpoint } from './opcua-client.ts';
import type { OpcuaConnector } from './opcua-port.ts';
import type { OpcuaSource, OpcuaSourceTag } from './opcua-source.ts';
import { serverProfiles } from './server-profile.ts';
import { TagStates } from './tag-states.ts';
import { heldValue } from './value.ts';
import { writeNode } from './write.ts';

export interface SubscribedSourceOptions extends SourceOptions {
  readonly source: OpcuaSource;
  /** Default: the server of the source. */
  readonly connector?: OpcuaConnector;
}

/** An OPC UA source that runs: its connection, and the writes to its tags. */
export class SubscribedSource implements Source {
  readonly name: string;
  readonly tags: readonly OpcuaSourceTag[];
  readonly connection: OpcuaConnection;
  readonly states: TagStates;
  readonly #options: SubscribedSourceOptions;
  #isStopped = false;

  constructor(options: SubscribedSourceOptions) {
    const { source, sink, clock, random, logger, pkiPath } = options;
    this.#options = options;
    this.name = source.name;
    this.tags = source.tags;
    this.states = new TagStates(source.tags, sink, clock);
    this.connection = new OpcuaConnection({
      name: source.name,
      connector: options.connector ?? createConnector(source.opcua, { pkiPath, logger }),
      tags: source.tags,
      states: this.states,
      publishMs: source.opcua.publishMs,
      profile: serverProfiles[source.opcua.profile],
      clock,
      random,
      logger,
    });
  }

  get state(): string {
    return this.connection.state;
  }

  get isLive(): boolean {
    return this.connection.state === 'live';
  }

  get badTags(): number {
    return this.states.badTags;
  }

  start(): void {
    const { endpoint, security, user } = this.#options.source.opcua;
    if (security === 'None') {
      this.#options.logger.warn(
        { source: this.name, endpoint, hasPassword: user !== undefined },
        'the connection to the OPC UA server is neither encrypted nor signed',
      );
    }
    this.connection.start();
  }

  /** Closes the session. Idempotent. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.connection.stop();
  }

  heldValue(tag: number, value: Value): Value {
    return heldValue(value, this.states.dataTypeOf(tag), this.tags[tag] ?? {});
  }

  async write(tagNumber: number, value: Value, deadlineMs: number, turn?: WriteTurn): Promise<WriteResult> {
    const { clock, source } = this.#options;
    const tag = source.tags[tagNumber];
    const refusal = writeRefusal(tag?.write, value);
    if (tag === undefined || refusal !== undefined) {
      return { state: 'failed', code: 'forbidden', message: refusal ?? 'the tag is unknown' };
    }
    return writeNode({
      channel: () => this.connection.channel,
      node: () => this.connection.nodeOf(tagNumber),
      format: tag,
      value,
      deadlineMs,
      turn,
      timeoutMs: source.opcua.timeoutMs,
      isStopped: () => this.#isStopped,
      clock,
    });
  }
}

/** The library takes some 90 MB: a gateway without an OPC UA source does not load it. */
function createConnector(endpoint: OpcuaEndpoint, options: OpcuaClientOptions): OpcuaConnector {
  let loaded: Promise<OpcuaConnector> | undefined;
  return {
    async open(previous, onClosed) {
      loaded ??= import('./opcua-client.ts').then((client) => client.createOpcuaConnector(endpoint, options));
      return (await loaded).open(previous, onClosed);
    },
  };
}
