import { TailraceProvider } from '@tailrace/client/react';
import type { Stream } from '@tailrace/client/stream';
import type { ComponentChildren, FunctionComponent } from 'preact';

export { useAlarms, useCommand, useControl, useStream } from '@tailrace/client/react';

/** The provider of the SDK, which is written for React, as Preact renders it. */
export const StreamProvider = TailraceProvider as unknown as FunctionComponent<{
  readonly stream: Stream;
  readonly children?: ComponentChildren;
}>;
