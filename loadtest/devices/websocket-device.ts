import { DeviceConnection } from '@tailrace/client/device';
import { isTailraceError, TailraceError } from '@tailrace/protocol/error';
import {
  idOf,
  type LoadDevice,
  type LoadDeviceHandlers,
  type LoadDeviceOptions,
  type LoadReport,
  readingsOf,
} from './load-device.ts';

/** A device by WebSocket at QoS 1, as the SDK has it: it sends again by itself what has no acknowledgment. */
export function createWebSocketDevice(options: LoadDeviceOptions, handlers: LoadDeviceHandlers): LoadDevice {
  const { url, device, token, readings, hasIds, inFlightMax } = options;
  const opened = Promise.withResolvers<void>();
  const connection = new DeviceConnection({
    ...{ url, device, token },
    onState(state) {
      if (state.name === 'live') {
        opened.resolve();
        handlers.writable();
      } else if (state.name === 'stopped')
        opened.reject(new TailraceError('unavailable', `${device}: ${state.loss.message}`));
      if (state.name === 'waiting' || state.name === 'stopped') handlers.disconnected();
    },
  });
  const send = async (report: LoadReport): Promise<void> => {
    const { counter } = report;
    try {
      const id = hasIds ? { id: idOf(device, counter) } : {};
      const { status, code } = await connection.status(readingsOf(counter, readings), id);
      const isTaken = status === 'accepted' || status === 'duplicate';
      handlers.acknowledged(report, isTaken ? undefined : (code ?? status));
    } catch (thrown) {
      handlers.acknowledged(report, isTailraceError(thrown) ? thrown.code : String(thrown));
    }
    handlers.writable();
  };
  return {
    connect() {
      connection.start();
      return opened.promise;
    },
    send(report) {
      if (connection.queuedMessages >= inFlightMax) return false;
      void send(report);
      return true;
    },
    close: () => connection.close(),
  };
}
