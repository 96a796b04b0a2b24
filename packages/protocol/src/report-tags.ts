/**
 * Field tags of Protobuf `Report` and of `Delivery`, which has three more: (number << 3) | wire type.
 */
export const reportTags = {
  device: 0x0a,
  time: 0x11,
  readings: 0x1a,
  id: 0x22,
  received: 0x29,
  partition: 0x30,
  seq: 0x38,
  delta: 0x40,
  clock: 0x48,
  historical: 0x50,
} as const;

/** Field tags of Protobuf `Reading`. */
export const readingTags = {
  tag: 0x0a,
  number: 0x11,
  boolean: 0x18,
  text: 0x22,
  unit: 0x2a,
  quality: 0x30,
  time: 0x39,
} as const;
