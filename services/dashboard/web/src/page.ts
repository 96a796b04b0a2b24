import type { ReadonlySignal } from '@preact/signals';
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { AlarmList } from './alarm-list.ts';
import type { Frames } from './frames.ts';
import type { Live } from './live.ts';
import type { Row } from './tree.ts';
import type { View } from './view.ts';

/** What every part of the page works with. */
export interface Page {
  readonly live: Live;
  readonly view: View;
  readonly alarms: AlarmList;
  readonly frames: Frames;
  /** The list of devices, as it was searched. */
  readonly rows: ReadonlySignal<readonly Row[]>;
}

export const PageContext = createContext<Page | undefined>(undefined);

export function usePage(): Page {
  return useContext(PageContext)!;
}
