import { effect, type Signal, signal } from '@preact/signals';

export type Theme = 'system' | 'dark' | 'light';

const key = 'tailrace.theme';
const order: readonly Theme[] = ['system', 'dark', 'light'];
const darkSystem = matchMedia('(prefers-color-scheme: dark)');

export const theme: Signal<Theme> = signal(stored());
/** Grows when colors change, for what is drawn on canvas. */
export const themeRevision: Signal<number> = signal(0);

/** Applies the choice and keeps it. */
export function startTheme(): void {
  darkSystem.addEventListener('change', () => themeRevision.value++);
  effect(() => {
    const { dataset } = document.documentElement;
    if (theme.value === 'system') delete dataset['theme'];
    else dataset['theme'] = theme.value;
    try {
      localStorage.setItem(key, theme.value);
    } catch {
      // No storage allowed: the choice holds for this page.
    }
    themeRevision.value = themeRevision.peek() + 1;
  });
}

export function nextTheme(): void {
  theme.value = order[(order.indexOf(theme.value) + 1) % order.length] ?? 'system';
}

function stored(): Theme {
  try {
    return order.find((choice) => choice === localStorage.getItem(key)) ?? 'system';
  } catch {
    return 'system';
  }
}
