import { type AlarmNotice, lowestPriority, plainLine, summaryOf } from './alarm-notice.ts';

/** Alarms of one message: during a flood a person gets few messages. */
export const mailNoticesMax = 50;

/** A message without its sender and recipients. */
export interface MailContent {
  readonly subject: string;
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly messageId: string;
}

/** Returns the message of one or several transitions, in their order. */
export function mailContent(notices: readonly AlarmNotice[]): MailContent {
  const [first] = notices;
  const highest = Math.min(...notices.map(({ priority = lowestPriority }) => priority));
  const others = notices.length === 1 ? '' : ` and ${notices.length - 1} more`;
  return {
    subject: plainLine(`[P${highest}] ${wordOf(first!)}: ${summaryOf(first!)}${others}`),
    text: `${notices.map(textOf).join('\n\n')}\n`,
    // RFC 3834: no automatic reply; and the importance by which mail programs sort.
    headers: { 'Auto-Submitted': 'auto-generated', Importance: highest <= 2 ? 'high' : 'normal' },
    // The same at each attempt: a server that has taken the message although the answer was lost may know it again.
    messageId: `<${first!.id.replaceAll(/[^A-Za-z0-9._-]/g, '')}.${notices.length}@tailrace>`,
  };
}

function wordOf({ cause = 'changed' }: AlarmNotice): string {
  return cause.replaceAll('_', ' ');
}

function textOf(notice: AlarmNotice): string {
  const { device, rule, state, priority = lowestPriority, time, activated, context = [], by, note, until } = notice;
  const lines = [
    `${wordOf(notice)}: ${summaryOf(notice)}`,
    `device: ${device}`,
    `rule: ${rule}, priority ${priority}, ${state.replaceAll('_', ' ')}`,
    `time: ${new Date(time).toISOString()}`,
    activated !== undefined && activated !== time && `since: ${new Date(activated).toISOString()}`,
    until !== undefined && `until: ${new Date(until).toISOString()}`,
    by && `by: ${by}${note ? `: ${note}` : ''}`,
    ...context.map(({ tag, value, unit = '' }) => `${tag}: ${value ?? '–'} ${unit}`),
  ];
  return lines
    .filter((line) => typeof line === 'string' && line !== '')
    .map((line) => plainLine(line as string))
    .join('\n');
}
