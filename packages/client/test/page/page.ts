/** Runs in a browser: the hooks in React's strict mode, and a test server in the page. */

import { TailraceProvider, useConnection, useReading, useSubscription } from '@tailrace/client/react';
import { createTestServer } from '@tailrace/client/testing';
import { createElement, StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

/** The part of the DOM that this page uses. */
declare const document: { getElementById(id: string): (Element & { textContent: string }) | null };

const renders: Record<string, number> = { reading: 0, other: 0, list: 0 };
const server = createTestServer();
const stream = server.stream();

function count(name: string): void {
  renders[name] = (renders[name] ?? 0) + 1;
}

function Reading({ tag }: { readonly tag: string }) {
  count('reading');
  const { value, quality, time, stale } = useReading('plant1.a', tag);
  return createElement('p', { id: tag }, `${value} ${quality} ${time} ${stale ? 'stale' : 'fresh'}`);
}

function Other() {
  count('other');
  return createElement('p', { id: 'other' }, String(useReading('plant1.b', 'n').value));
}

let listed = 0;
function List({ note, channel }: { readonly note: string; readonly channel: string }) {
  count('list');
  const state = useSubscription(channel, {
    maxRate: 5,
    onReports: (reports) => {
      listed += reports.length;
    },
  });
  return createElement('p', { id: 'list' }, `${state.name} ${note}`);
}

interface AppProps {
  readonly note: string;
  readonly shows: boolean;
  readonly channel: string;
}

function App({ note, shows, channel }: AppProps) {
  const { name } = useConnection();
  return createElement(
    'div',
    null,
    createElement('p', { id: 'connection' }, name),
    ...(shows ? ['temperature', 'running'].map((tag) => createElement(Reading, { key: tag, tag })) : []),
    createElement(Other, { key: 'other' }),
    createElement(List, { key: 'list', note, channel }),
  );
}

const root = createRoot(document.getElementById('root') as never);
function render(note: string, shows = true, channel = 'plant1.>'): void {
  root.render(
    createElement(
      StrictMode,
      null,
      createElement(TailraceProvider, { stream }, createElement(App, { note, shows, channel })),
    ),
  );
}
render('first');

function textOf(id: string): string | undefined {
  return document.getElementById(id)?.textContent;
}

/** Exposed to the tests. */
Object.assign(globalThis, {
  page: { server, stream, renders, render, textOf, unmount: () => root.unmount(), listed: () => listed },
});
