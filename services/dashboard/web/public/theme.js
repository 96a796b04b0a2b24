// Before the first paint, so that a page that is set to dark never flashes light. See src/theme.ts.
try {
  const theme = localStorage.getItem('tailrace.theme');
  if (theme === 'dark' || theme === 'light') document.documentElement.dataset.theme = theme;
} catch {
  // No storage allowed: the system's preference rules.
}
