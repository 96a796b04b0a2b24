import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createControl } from '@tailrace/client/control';
import type { AlarmTransition } from '@tailrace/protocol/control-event-json';
import { isTailraceError } from '@tailrace/protocol/error';
import { seededRandom } from '@tailrace/testkit/random';
import type { Act, ActLedger } from './act-ledger.ts';
import { shelvedRules } from './alarm-rules.ts';
import type { ControlAnswer, ControlApi } from './control-api.ts';
import type { EventWatcher } from './watchers.ts';

/** A subject with a token. */
export interface Person {
  readonly subject: string;
  readonly token: string;
}

export interface PeopleOptions {
  readonly api: ControlApi;
  readonly ledger: ActLedger;
  /** Sends commands by HTTP. */
  readonly anna: Person;
  /** Sends commands and acts on alarms by the watcher's connection, with the rights of that. */
  readonly ben: { readonly subject: string; readonly watcher: EventWatcher };
  /** Acts on alarms by HTTP: operator and engineer. */
  readonly carl: Person;
  /** Two who take leases in turn; the second one is a supervisor. */
  readonly dora: Person;
  readonly emil: Person;
  /** Devices without leases, and those of the scope of leases. */
  readonly devices: readonly string[];
  readonly leased: readonly string[];
  readonly scope: string;
}

const commandMs = 8_000;
const retryMs = 250;
const inFlightMax = 20;
/** For the answers of all requests at the end: above the deadline of a command and the time of its outcome. */
const answerMs = 90_000;

/** People who act all the time, and note what they request and what control has answered. */
export class People {
  readonly #options: PeopleOptions;
  readonly #random = seededRandom(7);
  readonly #inFlight = new Set<Promise<void>>();
  readonly #loops: Promise<void>[] = [];
  #isStopped = false;

  constructor(options: PeopleOptions) {
    this.#options = options;
  }

  start(): void {
    const { ben, anna, carl, dora, emil } = this.#options;
    const control = createControl(ben.watcher.stream);
    this.#every(150, () => this.#startRequest(() => this.command(anna)));
    this.#every(400, () => this.#startRequest(() => this.#commandByStream(control)));
    this.#every(300, () => this.#actOnAlarm(carl));
    this.#every(500, () => this.#startRequest(() => this.#acknowledgeByStream(control)));
    this.#every(700, () => this.#lease(dora, false));
    this.#every(900, () => this.#lease(emil, true));
  }

  /** Requests nothing new. Resolves when each request has an answer; rejects if some have none in time. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    const answered = Promise.all(this.#loops).then(() => Promise.all(this.#inFlight));
    const late = sleep(answerMs, 'late', { ref: false });
    if ((await Promise.race([answered, late])) === 'late')
      throw new Error(
        `expected answers of all requests within ${answerMs / 1000} s, got ${this.#inFlight.size} without`,
      );
  }

  /**
   * Sends a command by HTTP, again with the same key until there is an answer. Resolves with its ID; undefined if it
   * was refused.
   */
  async command(person: Person, device = this.#one(this.#options.devices), lease = 0): Promise<string | undefined> {
    const { api, ledger } = this.#options;
    const deadline = Date.now() + commandMs;
    const [key, name] = [randomUUID(), 'set'];
    const act = ledger.start({ kind: 'command', subject: person.subject, target: device, key, name, deadline });
    const body = { id: key, device, name, params: { n: ledger.acts.length }, deadline, lease };
    // Often the same request twice, as by a person who is in a hurry.
    const isTwice = this.#random() < 0.1;
    const answers = await Promise.all([
      this.#untilAnswered(act, () => api.request(person.token, 'POST', '/v1/commands', body)),
      isTwice ? this.#untilAnswered(act, () => api.request(person.token, 'POST', '/v1/commands', body)) : undefined,
    ]);
    const [answer] = answers;
    for (const each of answers) if (each?.status === 202) act.answers.push(each.body.id);
    return answer?.body?.id;
  }

  async #commandByStream(control: ReturnType<typeof createControl>): Promise<void> {
    const { ledger, ben, devices } = this.#options;
    const { subject, watcher } = ben;
    const [key, device, name] = [randomUUID(), this.#one(devices), 'move'];
    const deadline = Math.floor(watcher.stream.serverNow() + commandMs);
    const act = ledger.start({ kind: 'command', subject, target: device, key, name, deadline });
    const command = control.command({ id: key, device, name, params: { n: ledger.acts.length }, deadline });
    try {
      await command.result;
    } catch (error) {
      this.#failed(act, error);
    }
    for (const { id } of command.states) act.answers.push(id);
  }

  async #acknowledgeByStream(control: ReturnType<typeof createControl>): Promise<void> {
    const { ledger, ben } = this.#options;
    const alarm = this.#alarm((state) => state === 'unacknowledged');
    if (alarm === undefined) return;
    const { device, rule, number } = alarm;
    const name = 'acknowledge';
    const act = ledger.start({ kind: 'alarm', subject: ben.subject, target: device, key: randomUUID(), name });
    try {
      act.answers.push(await control.acknowledge({ device, rule, number }, 'seen on the screen'));
    } catch (error) {
      this.#failed(act, error);
    }
  }

  async #actOnAlarm({ subject, token }: Person): Promise<void> {
    const { ledger, api } = this.#options;
    const alarm = this.#alarm((state) => state !== 'normal' && state !== 'suppressed');
    if (alarm === undefined) return;
    const { device, rule, number, state } = alarm;
    const name = this.#actionFor(state, rule);
    const act = ledger.start({ kind: 'alarm', subject, target: device, key: randomUUID(), name });
    // Sometimes it refers to what is not current any more.
    const seen = this.#random() < 0.15 ? Math.max(1, number - 1) : number;
    const body = { device, rule, number: seen, kind: name, note: 'maintenance' };
    const forMs = name === 'shelve' ? { forMs: 1_000 + Math.floor(this.#random() * 3_000) } : {};
    // Without a key it is sent once: what became of it without an answer is unknown.
    const answer = await api.request(token, 'POST', '/v1/alarm-actions', { ...body, ...forMs });
    if (answer.status === 202) act.answers.push(answer.body.action);
    else this.#refused(act, answer);
  }

  #actionFor(state: string, rule: string): string {
    if (state === 'latched') return 'reset';
    if (state === 'shelved') return 'unshelve';
    if (state === 'out_of_service') return 'return_to_service';
    const chance = this.#random();
    if (shelvedRules.includes(rule) && chance < 0.3) return 'shelve';
    if (rule === 'hot' && chance < 0.4) return 'remove_from_service';
    return 'acknowledge';
  }

  /** Acquires, renews, uses and releases a lease; a supervisor also takes it over. */
  async #lease(person: Person, isSupervisor: boolean): Promise<void> {
    const acquired = await this.#claim(person, 'acquire', 0);
    let token = acquired;
    if (token === undefined && isSupervisor && this.#random() < 0.5) token = await this.#claim(person, 'take_over', 0);
    if (token === undefined) {
      // Without the lease: refused, also if it was accepted before.
      await this.command(person, this.#one(this.#options.leased));
      return;
    }
    await this.command(person, this.#one(this.#options.leased), token);
    await this.#claim(person, 'renew', token);
    await this.command(person, this.#one(this.#options.leased), token);
    if (this.#random() < 0.7) await this.#claim(person, 'release', token);
  }

  /** Resolves with the token of the lease; undefined: it was refused, or the answer is unknown. */
  async #claim({ subject, token }: Person, action: string, lease: number): Promise<number | undefined> {
    const { api, ledger, scope } = this.#options;
    const act = ledger.start({ kind: 'lease', subject, target: scope, key: randomUUID(), name: action });
    const answer = await api.request(token, 'POST', '/v1/leases', { scope, action, forMs: 3_000, token: lease });
    if (answer.status === 200) {
      act.answers.push(String(answer.body.token));
      return answer.body.token;
    }
    this.#refused(act, answer);
    return undefined;
  }

  /** Repeats a request with a key until it is answered for good. */
  async #untilAnswered(act: Act, request: () => Promise<ControlAnswer>): Promise<ControlAnswer> {
    for (;;) {
      const answer = await request();
      const isFinal = answer.status > 0 && (answer.status < 400 || answer.body?.error?.retryable === false);
      if (isFinal) {
        if (answer.status >= 400) this.#refused(act, answer);
        return answer;
      }
      act.isDoubtful = true;
      await sleep(retryMs);
    }
  }

  #refused(act: Act, { status, body }: ControlAnswer): void {
    if (status === 0 || status >= 500) act.isDoubtful = true;
    else act.refusals.push(body?.error?.code ?? String(status));
  }

  #failed(act: Act, error: unknown): void {
    const { code = 'internal', retryable = true } = isTailraceError(error) ? error : {};
    if (retryable) act.isDoubtful = true;
    else act.refusals.push(code);
  }

  #alarm(isWanted: (state: string) => boolean): AlarmTransition | undefined {
    const wanted = [...this.#options.ben.watcher.standing.values()].filter(({ state }) => isWanted(state));
    return wanted.length === 0 ? undefined : this.#one(wanted);
  }

  /** At most `inFlightMax` at once: while nothing is answered, people wait. */
  async #startRequest(act: () => Promise<unknown>): Promise<void> {
    if (this.#inFlight.size >= inFlightMax) return;
    const request: Promise<void> = act().then(() => void this.#inFlight.delete(request));
    this.#inFlight.add(request);
  }

  #every(pauseMs: number, act: () => Promise<unknown>): void {
    const loop = async () => {
      while (!this.#isStopped) {
        await act();
        await sleep(pauseMs);
      }
    };
    this.#loops.push(loop());
  }

  #one<T>(values: readonly T[]): T {
    return values[Math.floor(this.#random() * values.length)]!;
  }
}
