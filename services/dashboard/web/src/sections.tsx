import type { JSX } from 'preact';
import { Icon, type IconName } from './icons.tsx';
import type { Section } from './location.ts';
import { usePage } from './page.ts';

/** The sections of the page: in the top bar, or at the bottom of a narrow screen. */
export function Sections(): JSX.Element {
  const { live, alarms, view } = usePage();
  const count = alarms.unacknowledged.value;
  const sections: readonly (readonly [Section, IconName, string, string])[] = [
    ['device', 'devices', 'Devices', '#/'],
    ['alarms', 'alarm', 'Alarms', '#/~alarms'],
    ...(live.config.value?.controlUrl === undefined ? [] : [['scenes', 'scene', 'Scenes', '#/~scenes'] as const]),
  ];
  return (
    <nav class="sections" aria-label="Sections">
      {sections.map(([section, icon, title, href]) => (
        <a
          key={section}
          href={href}
          aria-current={view.section.value === section ? 'page' : undefined}
          data-section={section}
        >
          <Icon name={icon} />
          <span>{title}</span>
          {section === 'alarms' && count > 0 && (
            <b class="badge">
              {count > 999 ? '999+' : count}
              <span class="hidden-text"> unacknowledged</span>
            </b>
          )}
        </a>
      ))}
    </nav>
  );
}
