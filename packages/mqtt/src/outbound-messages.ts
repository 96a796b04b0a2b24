import { encodePublish, type OutboundMessage } from './publish.ts';
import type { MqttVersion } from './reason.ts';
import type { SendWindow } from './send-window.ts';

/** Returns the PUBLISH of a message, with the whole seconds until it expires (MQTT-3.3.2-6). `nowMs`: epoch. */
export function packetOf(
  message: OutboundMessage,
  version: MqttVersion,
  { packetId, dup, nowMs }: { packetId: number; dup: boolean; nowMs: number },
): Buffer {
  const { expiresAtMs } = message;
  const expirySeconds = expiresAtMs === undefined ? undefined : Math.max(1, Math.ceil((expiresAtMs - nowMs) / 1000));
  return encodePublish(message, version, { packetId, dup, expirySeconds });
}

export interface ResendOptions {
  readonly version: MqttVersion;
  /** The Maximum Packet Size of the peer. */
  readonly packetBytesMax: number;
  /** Epoch. */
  readonly nowMs: number;
  readonly send: (packet: Buffer) => void;
  /** Called for a message that has expired, or that is too large for this connection. Its outcome is unknown. */
  readonly onDropped: (message: OutboundMessage) => void;
}

/** Sends again what an earlier connection of the session has sent, as far as the quota of the peer allows. */
export function resend(window: SendWindow, options: ResendOptions): void {
  const { version, packetBytesMax, nowMs, send, onDropped } = options;
  for (;;) {
    const sent = window.nextToResend(nowMs, onDropped);
    if (sent === undefined) return;
    const packet = packetOf(sent.message, version, { packetId: sent.packetId, dup: true, nowMs });
    if (packet.length <= packetBytesMax) {
      send(packet);
    } else {
      window.acked(sent.packetId);
      onDropped(sent.message);
    }
  }
}
