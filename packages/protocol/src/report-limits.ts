/**
 * The end of ECMAScript's time (ECMA-262 21.4.1.1), the year 275760: beyond it no Date can show it. By itself, since a
 * page needs nothing else of the limits.
 */
export const timeMsMax = 8.64e15;

/** What a report may hold at most. Over a limit it is refused, never cut. */
export const reportLimits = {
  /** A gateway's whole scan in one report; at 200 bytes each still well under `encodedBytesMax`. */
  readingsMax: 1000,
  /** OPC UA browse names and PLC symbols are shorter; a tag is repeated in every reading, and screens have to show it. */
  tagCharactersMax: 128,
  /** A recipe, a bar code, a line of a machine's log: a value, not a document. */
  textCharactersMax: 4096,
  /** UCUM's longest units in use have about 20. */
  unitCharactersMax: 32,
  /** A UUID (36) or a SHA-256 in hexadecimal (64). Each ID is kept for a while to know it again. */
  idBytesMax: 64,
  timeMsMax,
  /** A report as Protobuf. Kafka and NATS take messages of 1 MiB by default, and a report travels inside other messages. */
  encodedBytesMax: 256 * 1024,
} as const;
