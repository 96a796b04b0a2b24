/** The colors of the page as canvases need them. */
export interface Palette {
  readonly line: string;
  readonly fill: string;
  readonly grid: string;
  readonly text: string;
  readonly on: string;
  readonly off: string;
  readonly warn: string;
  readonly warnSoft: string;
  readonly bad: string;
  readonly badSoft: string;
  readonly idle: string;
  readonly label: string;
}

let palette: Palette | undefined;
let paletteRevision = -1;

/** Reads them from the style sheet, again after each change of theme. */
export function paletteAt(revision: number): Palette {
  if (palette !== undefined && revision === paletteRevision) return palette;
  paletteRevision = revision;
  // A canvas does not know `light-dark()`: an element that has the color does.
  const probe = document.body.appendChild(document.createElement('i'));
  const color = (name: string) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  palette = {
    line: color('--trace'),
    fill: color('--trace-fill'),
    grid: color('--grid'),
    text: color('--muted'),
    on: color('--state-on'),
    off: color('--state-off'),
    warn: color('--warn'),
    warnSoft: color('--warn-soft'),
    bad: color('--bad'),
    badSoft: color('--bad-soft'),
    idle: color('--idle'),
    label: color('--state-label'),
  };
  probe.remove();
  return palette;
}
