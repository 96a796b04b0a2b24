import type { JSX } from 'preact';

const paths = {
  search: 'M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13Zm5 11.5L20 20',
  back: 'M15 5l-7 7 7 7',
  pause: 'M8 5v14M16 5v14',
  play: 'M8 5l11 7-11 7Z',
  keyboard: 'M3 7h18v10H3ZM6.5 10.2h.01M10 10.2h.01M13.500 10.2h.01M17 10.2h.01M8 14h8',
  devices: 'M4 6h16M4 12h16M4 18h16',
  alarm: 'M6 16V11a6 6 0 0 1 12 0v5l1.500 2h-15ZM10 21h4',
  scene: 'M5 4h6v6H5ZM13 4h6v6h-6ZM5 12h6v8H5ZM13 12h6v8h-6Z',
  system: 'M4 5h16v11H4ZM9 20h6M12 16v4',
  dark: 'M20 14.500A8.5 8.5 0 0 1 9.500 4 8.500 8.500 0 1 0 20 14.500Z',
  light:
    'M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM12 2.500v2M12 19.500v2M2.500 12h2M19.500 12h2M5.300 5.300l1.400 1.400M17.300 17.300l1.400 1.400M5.300 18.700l1.400-1.400M17.300 6.700l1.400-1.400',
} as const;

export type IconName = keyof typeof paths;

/** A line drawing of 24 by 24, hidden from screen readers: the button around it has the label. */
export function Icon({ name }: { name: IconName }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}

export function Logo(): JSX.Element {
  return (
    <svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M4 10c4-5.500 8-5.500 12 0s8 5.500 12 0" />
      <path d="M4 17c4-5.500 8-5.500 12 0s8 5.500 12 0" opacity=".6" />
      <path d="M4 24c4-5.500 8-5.500 12 0s8 5.500 12 0" opacity=".3" />
    </svg>
  );
}
