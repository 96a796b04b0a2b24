// Before the first paint, so that nobody who chose the dark page is dazzled by the light one. See src/theme.ts.
try {
  const theme = localStorage.getItem('tailrace.theme');
  if (theme === 'dark' || theme === 'light') document.documentElement.dataset.theme = theme;
} catch {
  // No storage allowed: the system's preference rules.
}
