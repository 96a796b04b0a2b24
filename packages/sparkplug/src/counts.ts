/** What happened to messages and metrics, over all nodes that share the object. Numbers only grow. */
export interface SparkplugCounts {
  /** Messages that came twice: same sequence number, timestamp and length. */
  duplicates: number;
  /** Missing ranges of sequence numbers that were accepted after the reorder window. */
  gaps: number;
  /** Messages without a valid sequence number, or out of sequence while a node is unsynchronized. */
  outOfSequence: number;
  /** First messages of a node that were no birth: what it has sent before may be missing. */
  startsWithoutBirth: number;
  /** Messages older than the birth of their node. */
  late: number;
  /** NDEATH of an earlier session. */
  staleDeaths: number;
  /** Retained messages that change nothing. */
  retainedIgnored: number;
  /** NBIRTH without bdSeq. */
  birthsWithoutBdSeq: number;
  /** Metrics by a name that the birth lacks. */
  unknownNames: number;
  /** Metrics with another data type than in the birth, which counts. */
  dataTypeMismatches: number;
  /** Values that are NaN or infinite. */
  notFinite: number;
  /** Timestamps before 1973 or after 5138. */
  invalidTimes: number;
  /** Property sets with keys and values of different number. */
  invalidProperties: number;
  /** Metrics of unsupported types after the birth. */
  unsupportedTypes: number;
  /** Rebirths that were needed, of nodes without the metric for it. */
  rebirthsImpossible: number;
}

export function createCounts(): SparkplugCounts {
  return {
    duplicates: 0,
    gaps: 0,
    outOfSequence: 0,
    startsWithoutBirth: 0,
    late: 0,
    staleDeaths: 0,
    retainedIgnored: 0,
    birthsWithoutBdSeq: 0,
    unknownNames: 0,
    dataTypeMismatches: 0,
    notFinite: 0,
    invalidTimes: 0,
    invalidProperties: 0,
    unsupportedTypes: 0,
    rebirthsImpossible: 0,
  };
}
