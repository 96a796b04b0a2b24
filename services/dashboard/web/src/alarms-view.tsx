import { useSignal } from '@preact/signals';
import type { AlarmTransition } from '@tailrace/client/control';
import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import { AlarmDialog } from './alarm-dialog.tsx';
import { type AlarmAction, actionsFor, isLate, isUnacknowledged, stateWord } from './alarm-list.ts';
import { type ControlError, needsNote, refusalText } from './control-words.ts';
import { shownAge, shownTime } from './format.ts';
import { usePage } from './page.ts';
import { useControl } from './sdk.ts';
import { SectionHead } from './section-head.tsx';
import { matchesOne } from './token-claims.ts';

/** Rows at first: a flood has thousands, and no person reads them one by one. */
const rowsFirst = 200;

/** The present alarms of all devices that the page may see. */
export function AlarmsView(): JSX.Element {
  const { alarms } = usePage();
  const rowsMax = useSignal(rowsFirst);
  const all = alarms.current.value;
  const { value: unacknowledged } = alarms.unacknowledged;
  return (
    <main class="view" aria-label="Alarms">
      <SectionHead title="Alarms">
        <p role="status" data-testid="alarm-summary">
          {alarms.isLive.value ? `${unacknowledged} of ${all.length} unacknowledged` : 'Not up to date'}
        </p>
      </SectionHead>
      {all.length === 0 ? (
        <div class="empty">
          <h2>{alarms.isLive.value ? 'No alarms' : 'Waiting for alarms'}</h2>
          <p>{alarms.isLive.value ? 'Alarms of your devices appear here.' : 'They come with the connection.'}</p>
        </div>
      ) : (
        <ul class="alarms" data-testid="alarm-list">
          {all.slice(0, rowsMax.value).map((alarm) => (
            <AlarmRow key={`${alarm.device} ${alarm.rule}`} alarm={alarm} />
          ))}
          {all.length > rowsMax.value && (
            <li class="more-alarms">
              <button
                type="button"
                class="plain"
                onClick={() => {
                  rowsMax.value += rowsFirst;
                }}
              >
                Show more of {all.length} alarms
              </button>
            </li>
          )}
        </ul>
      )}
    </main>
  );
}

const priorityWords = ['', 'critical', 'high', 'medium', 'low', 'notice'];

/** The priority as a number in a shape, so that it is not in the color alone. */
export function Priority({ alarm }: { alarm: AlarmTransition }): JSX.Element {
  const { priority = 5 } = alarm;
  const word = priorityWords[priority] ?? '';
  return (
    <span class={`priority p${priority}`} title={`Priority ${priority}, ${word}`}>
      <span class="hidden-text">Priority </span>
      {priority}
      <span class="hidden-text">, {word}</span>
    </span>
  );
}

function AlarmRow({ alarm }: { alarm: AlarmTransition }): JSX.Element {
  const { device, rule, state, message } = alarm;
  return (
    <li
      class={`alarm ${isUnacknowledged(alarm) ? 'unacknowledged' : ''}`}
      data-testid="alarm"
      data-device={device}
      data-rule={rule}
      data-state={state}
    >
      <Priority alarm={alarm} />
      <div class="what">
        <p class="message">{message ?? rule}</p>
        <p class="where">
          <a href={`#/${device}`}>{device}</a> <span>{rule}</span>
          {alarm.limit !== undefined && <span> limit {alarm.limit}</span>}
        </p>
      </div>
      <p class="state">
        <strong>{stateWord(state)}</strong>
        <StateDetail alarm={alarm} />
      </p>
      <Since timeMs={alarm.activated ?? alarm.time} />
      <Actions alarm={alarm} />
    </li>
  );
}

/** How long ago; apart from its row, because it changes each second. */
function Since({ timeMs }: { timeMs: number }): JSX.Element {
  const { live } = usePage();
  const nowMs = live.nowMs.value;
  return (
    <time class="since" dateTime={new Date(timeMs).toISOString()} title={shownTime(timeMs, nowMs)}>
      {shownAge(Math.max(0, nowMs - timeMs))}
    </time>
  );
}

function StateDetail({ alarm: { state, by, until, note } }: { alarm: AlarmTransition }): JSX.Element | null {
  const { live } = usePage();
  const person = by === undefined ? '' : ` by ${by}`;
  const reason = note === undefined ? '' : `: ${note}`;
  if (state === 'shelved' && until !== undefined)
    return <span>{` until ${shownTime(until, live.nowMs.peek())}${person}${reason}`}</span>;
  if (state === 'acknowledged' || state === 'out_of_service') return <span>{person + reason}</span>;
  return null;
}

const actionWords: Readonly<Record<AlarmAction, string>> = {
  acknowledge: 'Acknowledge',
  shelve: 'Shelve…',
  unshelve: 'Unshelve',
  reset: 'Reset',
  return_to_service: 'Return to service',
};

function Actions({ alarm }: { alarm: AlarmTransition }): JSX.Element | null {
  const { live, alarms } = usePage();
  const control = useControl();
  const error = useSignal<ControlError | undefined>(undefined);
  /** ID of the action that has no transition yet; '' while it is sent. */
  const pending = useSignal<string | undefined>(undefined);
  const sentMs = useSignal(0);
  const dialog = useSignal<'shelve' | 'acknowledge' | undefined>(undefined);
  useEffect(() => {
    pending.value = undefined;
    error.value = undefined;
  }, [alarm.number]);
  const { value: claims } = live.claims;
  if (claims !== undefined && !matchesOne(claims.command, alarm.device)) return null;
  const refusal = alarms.refusals.value.get(pending.value ?? '');
  const shown = error.value ?? refusal;
  const send = (request: Promise<string>) => {
    error.value = undefined;
    pending.value = '';
    sentMs.value = live.nowMs.peek();
    request.then(
      (id) => {
        if (pending.value === '') pending.value = id;
      },
      (thrown: ControlError) => {
        pending.value = undefined;
        error.value = thrown;
      },
    );
  };
  const start = (action: AlarmAction) => {
    if (action === 'shelve') dialog.value = 'shelve';
    else if (action === 'acknowledge') send(control.acknowledge(alarm));
    else if (action === 'unshelve') send(control.unshelve(alarm));
    else if (action === 'reset') send(control.reset(alarm));
    else send(control.returnToService(alarm));
  };
  const isPending = pending.value !== undefined && refusal === undefined;
  // Read while it waits only: the time changes for each row otherwise.
  const isOverdue = isPending && isLate(sentMs.value, live.nowMs.value);
  const isBusy = isPending && !isOverdue;
  const name = `${alarm.message ?? alarm.rule}, ${alarm.device}`;
  return (
    <div class="actions">
      {actionsFor(alarm.state).map((action) => (
        <button
          key={action}
          type="button"
          class="plain"
          disabled={isBusy}
          data-action={action}
          aria-label={`${actionWords[action].replace('…', '')}: ${name}`}
          onClick={() => start(action)}
        >
          {actionWords[action]}
        </button>
      ))}
      {isOverdue && (
        <p class="refusal" role="alert">
          Not applied yet: the service of alarms does not answer.
        </p>
      )}
      {shown !== undefined && (
        <p class="refusal" role="alert">
          {refusalText(shown, live.nowMs.peek())}{' '}
          {needsNote(shown) && actionsFor(alarm.state).includes('acknowledge') && (
            <button
              type="button"
              class="link"
              onClick={() => {
                dialog.value = 'acknowledge';
              }}
            >
              Acknowledge with a note
            </button>
          )}
        </p>
      )}
      {dialog.value !== undefined && (
        <AlarmDialog
          kind={dialog.value}
          name={name}
          onClose={() => {
            dialog.value = undefined;
          }}
          onShelve={(reason, forMs) => send(control.shelve(alarm, { reason, forMs }))}
          onAcknowledge={(note) => send(control.acknowledge(alarm, note))}
        />
      )}
    </div>
  );
}
