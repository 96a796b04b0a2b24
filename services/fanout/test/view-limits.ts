import type { ViewLimits } from '../src/views/view.ts';

/** The defaults of the settings. */
export const viewLimits: ViewLimits = {
  keyFrameMs: 10_000,
  lastSentReadingsMax: 1_000_000,
  pacedBytesMax: 67_108_864,
};
