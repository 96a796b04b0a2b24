import type { Signal } from '@preact/signals';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

const keys = [
  ['↑ ↓', 'Choose a device'],
  ['/', 'Search; Esc clears it'],
  ['Space', 'Pause, and follow again'],
  ['← →', 'Move back and forward in time'],
  ['Drag', 'Zoom into a span of time'],
  ['?', 'This list'],
] as const;

/** The keys of the page. */
export function Help({ isOpen }: { isOpen: Signal<boolean> }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (isOpen.value) dialog.current?.showModal();
    else dialog.current?.close();
  }, [isOpen.value]);
  const close = () => {
    isOpen.value = false;
  };
  return (
    <dialog ref={dialog} onClose={close} aria-labelledby="help-title">
      <h2 id="help-title" class="help-title">
        Keys
      </h2>
      <dl class="keys">
        {keys.map(([key, meaning]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{meaning}</dd>
          </div>
        ))}
      </dl>
      <button type="button" class="plain close" onClick={close}>
        Close
      </button>
    </dialog>
  );
}
