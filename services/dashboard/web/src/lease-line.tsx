import { useSignal } from '@preact/signals';
import type { LeaseTransition } from '@tailrace/client/control';
import type { JSX } from 'preact';
import { type ControlError, refusalText } from './control-words.ts';
import { shownTime } from './format.ts';
import { usePage } from './page.ts';
import { useControl } from './sdk.ts';

/** Of a lease that a person takes on the page, ms. It can be renewed. */
const leaseMs = 600_000;

/** Who controls the device, until when; buttons to take the control of it, and to release or renew one's own. */
export function LeaseLine({
  path,
  lease,
  mayCommand,
  subject,
}: {
  path: string;
  lease: LeaseTransition | undefined;
  mayCommand: boolean;
  subject: string | undefined;
}): JSX.Element | null {
  const { live } = usePage();
  const control = useControl();
  const error = useSignal<ControlError | undefined>(undefined);
  const isBusy = useSignal(false);
  const request = (action: 'acquire' | 'renew' | 'release') => {
    const { scope = path, token = 0 } = lease ?? {};
    const claim = action === 'acquire' ? { scope: path, action } : { scope, action, token };
    isBusy.value = true;
    control
      .lease(action === 'release' ? claim : { ...claim, forMs: leaseMs })
      .then(
        () => {
          error.value = undefined;
        },
        (thrown: ControlError) => {
          error.value = thrown;
        },
      )
      .finally(() => {
        isBusy.value = false;
      });
  };
  const isOwn = lease?.holder === subject;
  const actions = lease === undefined ? (['acquire'] as const) : isOwn ? (['renew', 'release'] as const) : [];
  if (lease === undefined && !mayCommand) return null;
  return (
    <div class="lease" data-testid="lease" data-holder={lease?.holder ?? ''}>
      {lease !== undefined && (
        <p role="status" class={isOwn ? '' : 'outcome confirming'}>
          {isOwn ? 'You control' : `${lease.holder} controls`} {lease.scope === path ? 'it' : lease.scope} until{' '}
          {shownTime(lease.until ?? 0, live.nowMs.peek())}
          {!isOwn && ': only they may command it'}
        </p>
      )}
      {mayCommand &&
        actions.map((action) => (
          <button
            key={action}
            type="button"
            class="plain"
            disabled={isBusy.value}
            data-action={action}
            title={
              action === 'release'
                ? ''
                : `For ${leaseMs / 60_000} minutes only you may command ${action === 'acquire' ? path : lease?.scope}`
            }
            onClick={() => request(action)}
          >
            {words[action]}
          </button>
        ))}
      {error.value !== undefined && (
        <p class="refusal" role="alert">
          {refusalText(error.value, live.nowMs.peek())}
        </p>
      )}
    </div>
  );
}

const words = { acquire: 'Take control', renew: 'Renew', release: 'Release' } as const;
