/**
 * Limits of what one node may make this process decode or keep. A message over a limit is not read: it is reported as
 * unreadable, with its bytes. `ReorderLimits`, `RebirthLimits` and `PathMapOptions` have the others.
 */
export const sparkplugLimits = {
  /** Larger than the packets that ingest accepts. Brokers allow up to 256 MB. */
  payloadBytesMax: 1024 * 1024,
  /** Metrics of one payload. */
  metricsMax: 10_000,
  /** Metrics, property keys, property values and unknown fields of one payload. */
  elementsMax: 20_000,
  /** Devices of one node. */
  devicesMax: 1_000,
  /** Metrics in the births of one node and its devices together, about 250 bytes each. */
  definitionsMax: 100_000,
  /** Characters of a group, node, device or host ID. */
  idCharactersMax: 256,
} as const;
