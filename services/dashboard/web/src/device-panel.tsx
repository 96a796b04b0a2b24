import { useComputed, useSignal } from '@preact/signals';
import { type CommandTransition, isFinal, type LeaseTransition, type SentCommand } from '@tailrace/client/control';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { isUnacknowledged, stateWord } from './alarm-list.ts';
import { Priority } from './alarms-view.tsx';
import { commandStateWord, commandText, commandValueFrom, withState } from './command-value.ts';
import { type ControlError, refusalText, sentText, withLocalTimes } from './control-words.ts';
import { shownAge } from './format.ts';
import { LeaseLine } from './lease-line.tsx';
import { type Leases, leaseOver, withLease } from './leases.ts';
import { usePage } from './page.ts';
import { useCommand, useControl, useStream } from './sdk.ts';
import { matchesOne } from './token-claims.ts';

/** Between the head of a device and its charts: its alarms, its commands, and a form for one. */
export function DevicePanel({ path, tags }: { path: string; tags: readonly string[] }): JSX.Element | null {
  const { live } = usePage();
  // Without a stream there are no hooks of the SDK.
  return live.stream.value === undefined ? null : <Panel path={path} tags={tags} />;
}

function Panel({ path, tags }: { path: string; tags: readonly string[] }): JSX.Element {
  const { live } = usePage();
  const { value: claims } = live.claims;
  const mayCommand = claims === undefined || matchesOne(claims.command, path);
  return (
    <div class="device-panel">
      <DeviceAlarms path={path} />
      <Commands path={path} tags={tags} mayCommand={mayCommand} subject={claims?.subject} />
    </div>
  );
}

function DeviceAlarms({ path }: { path: string }): JSX.Element | null {
  const { alarms } = usePage();
  const own = alarms.current.value.filter(({ device }) => device === path);
  if (own.length === 0) return null;
  return (
    <ul class="device-alarms" aria-label="Alarms of this device">
      {own.map((alarm) => (
        <li key={alarm.rule} class={isUnacknowledged(alarm) ? 'unacknowledged' : ''} data-testid="device-alarm">
          <a href="#/~alarms">
            <Priority alarm={alarm} /> <span>{alarm.message ?? alarm.rule}</span> <em>{stateWord(alarm.state)}</em>
          </a>
        </li>
      ))}
    </ul>
  );
}

/**
 * The commands of a device with their states, as they happen: those in progress, and all since the page shows it; and
 * the lease that covers it.
 */
function useCommandsOf(path: string): {
  readonly commands: readonly CommandTransition[];
  readonly lease: LeaseTransition | undefined;
} {
  const { live } = usePage();
  const stream = useStream();
  const commands = useSignal<readonly CommandTransition[]>([]);
  const leases = useSignal<Leases>(new Map());
  const lease = useComputed(() => leaseOver(path, leases.value, live.nowMs.value));
  useEffect(() => {
    const subscription = stream.subscribe(path, {
      commands: true,
      onCommands(events) {
        commands.value = events.reduce((all, { transition }) => withState(all, transition), commands.peek());
      },
      onLeases(events) {
        leases.value = events.reduce((all, { transition }) => withLease(all, transition), leases.peek());
      },
    });
    return () => subscription.unsubscribe();
  }, [stream, path]);
  return { commands: commands.value, lease: lease.value };
}

function Commands({
  path,
  tags,
  mayCommand,
  subject,
}: {
  path: string;
  tags: readonly string[];
  mayCommand: boolean;
  subject: string | undefined;
}): JSX.Element {
  const { commands, lease } = useCommandsOf(path);
  const isOpen = useSignal(false);
  /** What this page has sent, by its key: it can be canceled. */
  const sent = useRef(new Map<string, SentCommand>());
  return (
    <section class="commands" aria-label="Commands">
      {mayCommand && (
        <button
          type="button"
          class="plain"
          aria-expanded={isOpen.value}
          onClick={() => {
            isOpen.value = !isOpen.value;
          }}
        >
          Command…
        </button>
      )}
      <LeaseLine path={path} lease={lease} mayCommand={mayCommand} subject={subject} />
      {mayCommand && isOpen.value && (
        <CommandForm path={path} tags={tags} onSent={(command) => sent.current.set(command.id, command)} />
      )}
      {commands.length > 0 && (
        <ul class="command-states" data-testid="commands">
          {commands.map((command) => (
            <CommandRow
              key={command.id}
              command={command}
              sent={sent.current.get(command.key ?? '')}
              mayConfirm={mayCommand && command.by !== subject}
            />
          ))}
        </ul>
      )}
    </section>
  );
}

function CommandRow({
  command,
  sent,
  mayConfirm,
}: {
  command: CommandTransition;
  sent: SentCommand | undefined;
  mayConfirm: boolean;
}): JSX.Element {
  const { live } = usePage();
  const control = useControl();
  const error = useSignal<ControlError | undefined>(undefined);
  const { state, message, code = '' } = command;
  const decide = (decision: Promise<unknown>) => {
    error.value = undefined;
    decision.catch((thrown: ControlError) => {
      error.value = thrown;
    });
  };
  const reason =
    error.value !== undefined
      ? refusalText(error.value, live.nowMs.peek())
      : state === 'failed'
        ? withLocalTimes(message ?? code, live.nowMs.peek())
        : undefined;
  return (
    <li data-testid="command" data-state={state}>
      <code>{commandText(command)}</code>
      <span class={`outcome ${state}`}>{commandStateWord(command, live.nowMs.value)}</span>
      {reason !== undefined && <span class="refusal">{reason}</span>}
      {command.awaits === 'confirmation' && mayConfirm && (
        <button type="button" class="plain" onClick={() => decide(control.confirm(command.id))}>
          Confirm
        </button>
      )}
      {sent !== undefined && !isFinal(command) && (
        <button type="button" class="plain" onClick={() => decide(sent.cancel())}>
          Cancel
        </button>
      )}
      <span class="since">{shownAge(Math.max(0, live.nowMs.value - command.time))}</span>
    </li>
  );
}

/** Offered as names of commands; devices may have others. */
const usualNames = ['set', 'start', 'stop', 'open', 'close', 'lock', 'unlock'];

function CommandForm({
  path,
  tags,
  onSent,
}: {
  path: string;
  tags: readonly string[];
  onSent: (command: SentCommand) => void;
}): JSX.Element {
  const { live } = usePage();
  const [send, sent] = useCommand();
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    const [name, tag, value] = ['name', 'tag', 'value'].map((each) => String(fields.get(each) ?? '').trim());
    onSent(send({ device: path, name: name!, params: tag === '' ? {} : { [tag!]: commandValueFrom(value!) } }));
  };
  return (
    <form class="command-form" onSubmit={submit} data-testid="command-form">
      <label>
        <span>Command</span>
        <input
          name="name"
          list="command-names"
          defaultValue="set"
          required
          pattern="[A-Za-z0-9_\-]+"
          maxLength={64}
          autocomplete="off"
        />
      </label>
      <label>
        <span>Tag</span>
        <input name="tag" list="command-tags" maxLength={128} autocomplete="off" placeholder="none" />
      </label>
      <label>
        <span>Value</span>
        <input name="value" maxLength={4096} autocomplete="off" placeholder="17 or true" />
      </label>
      <button type="submit" class="primary">
        Send
      </button>
      <p role="status" class={sent.error === undefined ? 'outcome' : 'refusal'} data-testid="command-status">
        {sentText(sent, live.connection.value?.name === 'live', live.nowMs.value)}
      </p>
      <datalist id="command-names">
        {usualNames.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
      <datalist id="command-tags">
        {tags.map((tag) => (
          <option key={tag} value={tag} />
        ))}
      </datalist>
    </form>
  );
}
