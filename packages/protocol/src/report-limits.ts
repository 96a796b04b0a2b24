/**
 * The last time that a Date can represent (ECMA-262 21.4.1.1), in the year 275760. Apart from `reportLimits`, since a
 * browser client needs no other limit.
 */
export const timeMsMax = 8.64e15;

/** Limits of a report. A report over a limit is rejected, never truncated. */
export const reportLimits = {
  /** Enough for a gateway's whole scan. At 200 bytes each, well under `encodedBytesMax`. */
  readingsMax: 1000,
  /** OPC UA browse names and PLC symbols are shorter. Every reading repeats its tag, and screens display it. */
  tagCharactersMax: 128,
  /** Enough for a recipe, a bar code or a line of a machine's log. */
  textCharactersMax: 4096,
  /** UCUM's longest units in use have about 20 characters. */
  unitCharactersMax: 32,
  /** A UUID has 36, a SHA-256 in hexadecimal 64. Each ID is kept in memory for the duplicate window. */
  idBytesMax: 64,
  timeMsMax,
  /** Bytes of a report as Protobuf. Kafka and NATS accept messages of 1 MiB by default, which may hold several. */
  encodedBytesMax: 256 * 1024,
} as const;
