import type { Summary } from './summary.ts';

/** Returns one page that loads nothing from the network, as an artifact of a run. */
export function htmlOf(summary: Summary): string {
  const { scenario, what, isMet, seconds, settings, figures, slo } = summary;
  const rows = (cells: readonly (readonly string[])[]) =>
    cells.map((row) => `<tr>${row.map((cell) => `<td>${escaped(cell)}</td>`).join('')}</tr>`).join('\n');
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escaped(scenario)} – Tailrace load test</title>
<style>
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2430; background: #fff; }
  table { border-collapse: collapse; margin: 1rem 0; }
  td, th { text-align: left; padding: .3rem 1.2rem .3rem 0; border-bottom: 1px solid #d8dee6; font-variant-numeric: tabular-nums; }
  .met { color: #0b6b3a; } .unmet { color: #b3261e; font-weight: 600; }
  @media (prefers-color-scheme: dark) { body { color: #e3e8ef; background: #12171e; } td, th { border-color: #2d3642; } .met { color: #6fd19b; } .unmet { color: #ff8a80; } }
</style>
</head>
<body>
<h1>${escaped(scenario)}</h1>
<p>${escaped(what)}</p>
<p class="${isMet ? 'met' : 'unmet'}">${isMet ? 'All objectives are met.' : 'Not all objectives are met.'} ${seconds} s.</p>
<h2>Objectives</h2>
<table>
<tr><th>metric</th><th>expected</th><th>got</th><th></th></tr>
${slo
  .map(
    (row) =>
      `<tr><td>${escaped(row.metric)}</td><td>${escaped(row.expected)}</td><td>${escaped(row.got)}</td><td class="${row.isMet ? 'met' : 'unmet'}">${row.isMet ? 'met' : 'not met'}</td></tr>`,
  )
  .join('\n')}
</table>
<h2>Figures</h2>
<table>
${rows(figures)}
</table>
<h2>Load</h2>
<table>
${rows(Object.entries(settings).map(([name, value]) => [name, String(value)]))}
</table>
</body>
</html>
`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);
}
