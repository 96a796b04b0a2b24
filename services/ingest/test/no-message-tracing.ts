import type { MessageTracing } from '../src/intake/message-tracing.ts';

/** Traces nothing. */
export const noMessageTracing: Pick<MessageTracing, 'enabled' | 'start'> = { enabled: false, start: () => undefined };
