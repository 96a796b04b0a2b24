// Generated from loadtest/k6/lib/protocol.ts by scripts/k6-bundle.ts. Do not edit.
export * from '../lib/protocol.ts';
