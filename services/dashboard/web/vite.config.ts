import { defineConfig } from 'vite';

export default defineConfig({
  // The hooks of the SDK are written for React.
  resolve: { alias: { react: 'preact/compat' } },
  // Wherever a proxy puts the page.
  base: './',
  build: {
    outDir: '../dist',
    emptyOutDir: true,
    target: 'es2022',
    // The first with light-dark(), 2024.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    // Everything in one file each: the whole page is needed at once, and small.
    cssCodeSplit: false,
    // A data: URL for a font or picture would need a hole in the Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: false,
  },
  // `npm run dev -w services/dashboard` beside a running `make demo`.
  server: { proxy: { '/config.json': 'http://localhost:8080' } },
});
