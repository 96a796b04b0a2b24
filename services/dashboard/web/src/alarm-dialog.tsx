import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

/** How long an alarm can be shelved; longer ones are taken out of service. */
const shelfChoices = [
  ['15 minutes', 900_000],
  ['1 hour', 3_600_000],
  ['8 hours', 28_800_000],
  ['1 day', 86_400_000],
] as const;

/** The reason and the time of a shelf, or the note of an acknowledgement. */
export function AlarmDialog({
  kind,
  name,
  onClose,
  onShelve,
  onAcknowledge,
}: {
  kind: 'shelve' | 'acknowledge';
  name: string;
  onClose: () => void;
  onShelve: (reason: string, forMs: number) => void;
  onAcknowledge: (note: string) => void;
}): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    const text = String(fields.get('text') ?? '').trim();
    if (kind === 'shelve') onShelve(text, Number(fields.get('for')));
    else onAcknowledge(text);
    dialog.current?.close();
  };
  return (
    <dialog ref={dialog} onClose={onClose} aria-labelledby="alarm-dialog-title">
      <form class="fields" onSubmit={submit}>
        <h2 id="alarm-dialog-title">{kind === 'shelve' ? 'Shelve alarm' : 'Acknowledge alarm'}</h2>
        <p class="of">{name}</p>
        <label>
          <span>{kind === 'shelve' ? 'Reason' : 'Note'}</span>
          <input name="text" required maxLength={500} autocomplete="off" pattern=".*\S.*" />
        </label>
        {kind === 'shelve' && (
          <label>
            <span>For</span>
            <select name="for">
              {shelfChoices.map(([words, ms]) => (
                <option key={ms} value={ms}>
                  {words}
                </option>
              ))}
            </select>
          </label>
        )}
        <div class="buttons">
          <button type="button" class="plain" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="submit" class="primary">
            {kind === 'shelve' ? 'Shelve' : 'Acknowledge'}
          </button>
        </div>
      </form>
    </dialog>
  );
}
