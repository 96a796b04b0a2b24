import {
  type DeviceAck,
  DeviceConnection,
  type DeviceConnectionOptions,
  type DeviceMessage,
  type DeviceState,
} from '@tailrace/client/device';
import { decodeReport } from '@tailrace/protocol/report-proto';
import type { IngestConnection, IngestConnectionOptions, IngestState } from './ingest-connection.ts';
import { secureWebSocket } from './secure-websocket.ts';

export interface WebSocketConnectionOptions extends IngestConnectionOptions {
  /** Default: that of Node.js. */
  readonly WebSocket?: DeviceConnectionOptions['WebSocket'];
}

/** A session over the WebSocket for devices, `GET /v1/device`: reports as JSON. */
export class WebSocketConnection implements IngestConnection {
  readonly #connection: DeviceConnection;

  constructor(options: WebSocketConnectionOptions) {
    const { url, device, token, clock, random, onState, onError, onCommand, tls } = options;
    const WebSocket = options.WebSocket ?? (tls && secureWebSocket(tls));
    this.#connection = new DeviceConnection({
      ...{ url, device, token, clock, random, resend: false },
      ...(WebSocket && { WebSocket }),
      ...(onCommand && { onCommand }),
      onState: (state) => onState(stateFrom(state)),
      onError,
    });
  }

  get state(): IngestState {
    return stateFrom(this.#connection.state);
  }

  get queuedBytes(): number {
    return this.#connection.queuedBytes;
  }

  start(): void {
    this.#connection.start();
  }

  reconnect(options?: { readonly force?: boolean }): void {
    this.#connection.reconnect(options);
  }

  batch(id: string, reports: readonly Uint8Array[]): Promise<DeviceAck> {
    return this.#connection.batch(reports.map(messageFrom), { id });
  }

  presence(device: string, isOnline: boolean): void {
    this.#connection.presence(device, isOnline);
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}

function messageFrom(report: Uint8Array): DeviceMessage {
  const { device, time, readings, id } = decodeReport(report);
  return { type: 'status', device, time, readings, id: id! };
}

function stateFrom(state: DeviceState): IngestState {
  if (state.name !== 'live') return state;
  const { node, welcome } = state;
  return { name: 'live', node, messagesPerSecond: welcome.messagesPerSecond };
}
