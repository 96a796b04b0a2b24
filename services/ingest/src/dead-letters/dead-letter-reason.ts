/** Why a message became a dead letter. docs/PROTOCOL.md has the meaning of each. */
export const deadLetterReasons = [
  'malformed_json',
  'malformed_number',
  'malformed_protobuf',
  'malformed_sparkplug',
  'invalid_report',
  'invalid_path',
  'too_large',
  'inexact',
  'no_mapping',
  'forbidden',
  'limit_reached',
  'unknown_topic',
  'unknown_alias',
  'path_collision',
  'unsupported_type',
] as const;
export type DeadLetterReason = (typeof deadLetterReasons)[number];
