import type { Page } from './page.ts';

/** The page's keys, wherever the focus is; a field keeps what is its own. */
export function startKeyboard({ live, view, rows }: Page, onHelp: () => void): void {
  addEventListener('keydown', (event) => {
    // A dialog has its own keys.
    if (document.querySelector('dialog[open]') !== null) return;
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const target = event.target as HTMLElement;
    const search = document.querySelector<HTMLInputElement>('#search');
    const isField = target.matches('input, textarea, select');
    if (isField && target !== search) return;
    if (event.key === 'Escape' && isField) {
      view.search.value = '';
      search?.blur();
    } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      choose(event.key === 'ArrowDown' ? 1 : -1);
    } else if (event.key === 'Enter' && target === search) {
      if (view.device.value === undefined || !paths().includes(view.device.value)) choose(1);
      search?.blur();
    } else if (isField) return;
    else if (event.key === '/') {
      search?.focus();
      search?.select();
    } else if (event.key === '?') onHelp();
    else if (view.device.value === undefined) return;
    else if (event.key === ' ' && !target.matches('button, a, summary')) view.togglePause(live.serverNow());
    else if (event.key === 'ArrowLeft') view.pan(-0.25, live.serverNow());
    else if (event.key === 'ArrowRight') view.pan(0.25, live.serverNow());
    else return;
    event.preventDefault();
  });

  function paths(): string[] {
    return rows.value.flatMap((row) => (row.kind === 'device' ? [row.path] : []));
  }

  function choose(step: 1 | -1): void {
    const list = paths();
    const index = list.indexOf(view.device.value ?? '');
    const next = index === -1 ? list[step === 1 ? 0 : list.length - 1] : list[index + step];
    if (next !== undefined) view.goTo({ device: next }, false);
  }
}
