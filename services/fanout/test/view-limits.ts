import type { ViewLimits } from '../src/views/view.ts';

/** The settings' defaults. */
export const viewLimits: ViewLimits = {
  keyFrameMs: 10_000,
  toldReadingsMax: 1_000_000,
  pacedBytesMax: 67_108_864,
};
