/** The colours of the page as canvases need them. */
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
  // A canvas does not know `light-dark()`: an element that has the colour does.
  const probe = document.body.appendChild(document.createElement('i'));
  const colour = (name: string) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  palette = {
    line: colour('--trace'),
    fill: colour('--trace-fill'),
    grid: colour('--grid'),
    text: colour('--muted'),
    on: colour('--state-on'),
    off: colour('--state-off'),
    warn: colour('--warn'),
    warnSoft: colour('--warn-soft'),
    bad: colour('--bad'),
    badSoft: colour('--bad-soft'),
    idle: colour('--idle'),
    label: colour('--state-label'),
  };
  probe.remove();
  return palette;
}
