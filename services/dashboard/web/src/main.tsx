import { signal } from '@preact/signals';
import { render } from 'preact';
import 'uplot/dist/uPlot.min.css';
import { App } from './app.tsx';
import { Frames } from './frames.ts';
import { startKeyboard } from './keyboard.ts';
import { Live } from './live.ts';
import './style/colours.css';
import './style/base.css';
import './style/topbar.css';
import './style/list.css';
import './style/head.css';
import './style/traces.css';
import './style/dialog.css';
import './style/panes.css';
import { startTheme } from './theme.ts';
import { View } from './view.ts';

startTheme();
const page = { live: new Live(), view: new View(), frames: new Frames() };
const helpIsOpen = signal(false);
page.frames.each((timeMs) => page.live.show(timeMs));
page.frames.start();
startKeyboard(page, () => {
  helpIsOpen.value = true;
});
render(<App page={page} helpIsOpen={helpIsOpen} />, document.querySelector('#app')!);
void page.live.start();
