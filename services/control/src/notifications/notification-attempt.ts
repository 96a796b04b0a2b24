import { isTailraceError, type TailraceError, tailraceErrorFrom } from '@tailrace/protocol/error';
import { type AlarmNotice, isActive } from './alarm-notice.ts';
import { type Alert, alertKey, alertsAfter, alertsMax } from './alertmanager.ts';
import { mailContent, mailNoticesMax } from './mail.ts';
import type { SendMail } from './mail-transport.ts';
import type { PostOutward } from './outward-request.ts';
import { type Outcome, outcomeOf } from './retry-plan.ts';
import type { Target, TargetKind } from './target.ts';
import { webhookRequest } from './webhook.ts';

/** Notifications of one attempt. A webhook has one transition, so that its receiver can refuse it by itself. */
export const noticesMax: Readonly<Record<TargetKind, number>> = {
  webhook: 1,
  alertmanager: alertsMax,
  email: mailNoticesMax,
};

export interface AttemptOptions {
  readonly post: PostOutward;
  /** Undefined: no mail server is configured. */
  readonly mail: SendMail | undefined;
}

/** Sends to targets: one attempt each, whose outcome is never an exception, except for `canceled`. */
export class NotificationAttempt {
  readonly #options: AttemptOptions;

  constructor(options: AttemptOptions) {
    this.#options = options;
  }

  /**
   * Sends transitions in their order. `former`: what an Alertmanager has of alarms, by `alertKey`. Rejects with
   * `canceled` alone.
   */
  async send(
    target: Target,
    notices: readonly AlarmNotice[],
    former: ReadonlyMap<string, AlarmNotice>,
    nowMs: number,
    signal: AbortSignal,
  ): Promise<Outcome> {
    try {
      switch (target.kind) {
        case 'webhook':
          return await this.#post(target.url, webhookRequest(notices[0]!, target.secrets, nowMs), nowMs, signal);
        case 'alertmanager':
          return await this.#alert(target, alertsFor(notices, former, nowMs), nowMs, signal);
        case 'email': {
          const { mail } = this.#options;
          if (mail === undefined) return { kind: 'retry', message: 'no mail server is configured (mailUrl)' };
          await mail(target.to, mailContent(notices));
          return { kind: 'sent' };
        }
      }
    } catch (thrown) {
      return outcomeOfError(thrown);
    }
  }

  async #alert(
    { url, authorization }: Extract<Target, { kind: 'alertmanager' }>,
    alerts: readonly Alert[],
    nowMs: number,
    signal: AbortSignal,
  ): Promise<Outcome> {
    if (alerts.length === 0) return { kind: 'sent' };
    const headers = { 'content-type': 'application/json', ...(authorization === '' ? {} : { authorization }) };
    const request = { headers, body: JSON.stringify(alerts) };
    return await this.#post(`${url.replace(/\/+$/, '')}/api/v2/alerts`, request, nowMs, signal);
  }

  async #post(
    url: string,
    request: { readonly headers: Readonly<Record<string, string>>; readonly body: string },
    nowMs: number,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { status, body, retryAfter } = await this.#options.post({ url, ...request }, signal);
    return outcomeOf(status, body, retryAfter, nowMs);
  }
}

/** Returns the alerts of the last transition of each alarm. One that an Alertmanager never had is not resolved. */
function alertsFor(notices: readonly AlarmNotice[], former: ReadonlyMap<string, AlarmNotice>, nowMs: number): Alert[] {
  const last = new Map(notices.map((notice) => [alertKey(notice), notice]));
  return [...last].flatMap(([key, notice]) =>
    isActive(notice) || former.has(key) ? alertsAfter(notice, former.get(key), nowMs) : [],
  );
}

function outcomeOfError(thrown: unknown): Outcome {
  if (isTailraceError(thrown) && thrown.code === 'canceled') throw thrown;
  const { code, message } = tailraceErrorFrom(thrown) satisfies TailraceError;
  return { kind: code === 'forbidden' || code === 'invalid_message' ? 'refused' : 'retry', message };
}
