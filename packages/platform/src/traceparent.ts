/** The content of the header `traceparent`. */
export interface TracePosition {
  /** 32 hex digits, not all zero. */
  readonly traceId: string;
  /** 16 hex digits, not all zero. */
  readonly spanId: string;
  /** The process that started the trace records it. */
  readonly sampled: boolean;
}

const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.{0,200})?$/;

/**
 * Parses a `traceparent` header (W3C Trace Context, level 1, section 3.2). Returns undefined for a malformed one, which
 * the specification ignores (section 4.3).
 */
export function parseTraceparent(header: string): TracePosition | undefined {
  const match = header.length <= 256 ? form.exec(header) : null;
  if (!match) return undefined;
  const [, version, traceId, spanId, flags, rest] = match as unknown as [
    string,
    string,
    string,
    string,
    string,
    string?,
  ];
  // Section 3.2.2.1: ff is invalid; version 00 has exactly four fields, later ones may have more.
  if (version === 'ff' || (version === '00' && rest !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** Returns the text of the header, version 00. */
export function traceparentFrom(position: TracePosition): string {
  return `00-${position.traceId}-${position.spanId}-${position.sampled ? '01' : '00'}`;
}
