import type { ComponentChildren, JSX } from 'preact';

/** The head of a section that shows no device. */
export function SectionHead({ title, children }: { title: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="head section-head">
      <h1>{title}</h1>
      {children}
    </div>
  );
}
