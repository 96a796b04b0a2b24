/** The exports of `@tailrace/client/device`: for programs on devices and gateways. Not part of `@tailrace/client`. */

export { type ErrorCode, isTailraceError, TailraceError } from '@tailrace/protocol/error';
export type { Quality, Reading } from '@tailrace/protocol/report';
export type { CommandAnswer, CommandReply, DeviceCommand } from './device-commands.ts';
export {
  DeviceConnection,
  type DeviceConnectionOptions,
  type DeviceCounts,
  type DeviceLoss,
  type DeviceState,
} from './device-connection.ts';
export type {
  DeviceAck,
  DeviceEvent,
  DeviceMessage,
  DeviceMessageOptions,
  DeviceStatus,
  DeviceWelcome,
  RejectedMessage,
} from './device-frames.ts';
