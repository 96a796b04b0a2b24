import { patternCovers, patternMatches } from '@tailrace/protocol/pattern';
import type { Violations } from './violation.ts';

/** How long a command of a former holder may be on its way after a lease was acknowledged, ms: see `#checkLeases`. */
export const inFlightMs = 30_000;
/** How much later than its deadline a device may start a command, for the drift of its clock since its login, ms. */
const lateMs = 100;

/** A command as its sender has requested it. */
export interface Submission {
  readonly key: string;
  readonly sender: string;
  readonly device: string;
  /** Epoch ms. */
  readonly deadline: number;
  readonly qos: number;
}

/** A lease that control has acknowledged. */
export interface AcknowledgedLease {
  readonly scope: string;
  readonly token: number;
  readonly holder: string;
  /** Epoch ms. */
  readonly until: number;
}

/** A transition of a command, in the log or in the store. */
export interface TransitionFacts {
  readonly command: string;
  readonly key: string;
  readonly number: number;
  readonly state: string;
  readonly isFinal: boolean;
}

/** An entry of the audit. */
export interface EntryFacts {
  readonly chain: number;
  readonly number: number;
  readonly hash: string;
  readonly subject: string;
  readonly action: string;
  readonly target: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** What log and store have at the end of a run. */
export interface ControlFacts {
  /** In the order of the log, for each device. */
  readonly logged: readonly TransitionFacts[];
  readonly stored: readonly TransitionFacts[];
  readonly entries: readonly EntryFacts[];
  /** The records of the topic of the audit. */
  readonly published: readonly Pick<EntryFacts, 'chain' | 'number' | 'hash'>[];
  /** Where chains do not verify. */
  readonly broken: readonly object[];
  /** Rows that are not in the log. */
  readonly unpublished: number;
}

interface Execution {
  readonly atMs: number;
  readonly id: string;
  readonly fence: number;
  readonly key: string;
}

interface Lease extends AcknowledgedLease {
  readonly fromMs: number;
  /** From this time on it may be void: it has expired, or a person has requested to release it or to take it over. */
  toMs: number;
}

/** The checker of I8: compares requests, answers and executions with the log, the store and the audit. */
export class CommandChecker {
  readonly counts = { submitted: 0, accepted: 0, refused: 0, executed: 0, leases: 0, results: 0 };
  readonly #violations: Violations;
  /** Epoch ms. */
  readonly #now: () => number;
  readonly #submissions = new Map<string, Submission>();
  /** When each was requested for the first time. */
  readonly #requestedMs = new Map<string, number>();
  /** IDs by key, as control has answered. */
  readonly #ids = new Map<string, string>();
  readonly #received = new Map<string, Set<string>>();
  readonly #executions = new Map<string, Execution[]>();
  readonly #byKey = new Map<string, number>();
  readonly #leases: Lease[] = [];
  /** Scopes of requests that may stop leases. */
  readonly #contests = new Set<{ readonly name: string }>();
  readonly #refusedKeys = new Set<string>();
  readonly #refusedLeases = new Map<string, number>();
  readonly #results = new Map<string, string>();
  readonly #stateCounts = new Map<string, number>();

  constructor(violations: Violations, now: () => number) {
    this.#violations = violations;
    this.#now = now;
  }

  /** Final states at the end of the run. */
  get states(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#stateCounts].sort());
  }

  /** Called before a command is requested for the first time. */
  submitted(submission: Submission): void {
    this.counts.submitted++;
    this.#submissions.set(submission.key, submission);
    this.#requestedMs.set(submission.key, this.#now());
  }

  /** Control has accepted a command, at some time since it was requested. */
  accepted(key: string, id: string): void {
    const { device, sender } = this.#submissions.get(key)!;
    const requestedMs = this.#requestedMs.get(key)!;
    const known = this.#ids.get(key);
    this.#ids.set(key, id);
    if (known !== undefined) {
      if (known !== id) this.#add(`${key} is the command ${known}, and was answered with ${id}`);
      return;
    }
    this.counts.accepted++;
    const other = this.#leases.find(
      ({ scope, holder, fromMs, toMs }) =>
        holder !== sender && patternMatches(scope, device) && fromMs <= requestedMs && this.#now() < toMs,
    );
    if (other !== undefined)
      this.#add(`${key} for ${device} was accepted, although ${other.holder} has the lease ${other.token}`);
  }

  /** Control has refused a command by rights, or because of others. */
  refused(key: string): void {
    this.counts.refused++;
    this.#refusedKeys.add(key);
  }

  leaseRefused(subject: string, scope: string): void {
    const name = `${subject} ${scope}`;
    this.#refusedLeases.set(name, (this.#refusedLeases.get(name) ?? 0) + 1);
  }

  leaseAcknowledged(lease: AcknowledgedLease): void {
    this.counts.leases++;
    const known = this.#leases.find(({ token }) => token === lease.token);
    if (known !== undefined && known.holder !== lease.holder)
      this.#add(`the lease ${lease.token} is of ${known.holder} and ${lease.holder}`);
    const isContested = [...this.#contests].some((scope) => overlaps(scope.name, lease.scope));
    this.#leases.push({ ...lease, fromMs: this.#now(), toMs: isContested ? this.#now() : lease.until });
  }

  /** The holder requests a lease again, which is valid for `forMs` from then on: that may be shorter than before. */
  leaseRequested(holder: string, scope: string, forMs: number): void {
    const untilMs = this.#now() + forMs;
    for (const lease of this.#leases)
      if (lease.holder === holder && lease.scope === scope) lease.toMs = Math.min(lease.toMs, untilMs);
  }

  /**
   * A person requests to release or to take over a scope: from now on its leases may be void. Returns a function to
   * call when the request has no effect any more.
   */
  leaseContested(name: string): () => void {
    const scope = { name };
    this.#contests.add(scope);
    for (const lease of this.#leases) if (overlaps(name, lease.scope)) lease.toMs = Math.min(lease.toMs, this.#now());
    return () => void this.#contests.delete(scope);
  }

  /** A device has received a command. */
  received(device: string, id: string): void {
    const ids = this.#received.get(device) ?? new Set();
    this.#received.set(device, ids.add(id));
  }

  /** A device executes a command. */
  executed(device: string, id: string, { fence, key }: { readonly fence: number; readonly key: string }): void {
    this.counts.executed++;
    const nowMs = this.#now();
    const executions = this.#executions.get(device) ?? [];
    this.#executions.set(device, executions);
    const highest = executions.reduce((most, each) => Math.max(most, each.fence), 0);
    if (fence !== 0 && fence < highest)
      this.#add(`${device} executes ${key} with the fence ${fence}, after one with ${highest}`);
    const times = (this.#byKey.get(key) ?? 0) + 1;
    this.#byKey.set(key, times);
    if (times > 1) this.#add(`${device} executes ${key} ${times} times`);
    const submission = this.#submissions.get(key);
    if (submission === undefined || submission.device !== device)
      this.#add(`${device} executes ${key}, which no person has requested of it`);
    else if (nowMs > submission.deadline + lateMs)
      this.#add(`${device} executes ${key} ${Math.round(nowMs - submission.deadline)} ms after its deadline`);
    else this.#checkLeases(device, submission, nowMs);
    executions.push({ atMs: nowMs, id, fence, key });
  }

  /** The sender of a command has received its final state, from the stream. */
  result(key: string, state: string): void {
    this.counts.results++;
    const known = this.#results.get(key);
    if (known !== undefined) this.#add(`the sender of ${key} was sent the final states ${known} and ${state}`);
    this.#results.set(key, state);
  }

  /**
   * A command of another subject that control has sent before the lease was granted may be executed after it: the
   * process may be suspended, the ingest node waits for an earlier command, the device is slow. All of that is bounded.
   */
  #checkLeases(device: string, { key, sender }: Submission, nowMs: number): void {
    const other = this.#leases.find(
      ({ scope, holder, fromMs, toMs }) =>
        holder !== sender && patternMatches(scope, device) && fromMs + inFlightMs < nowMs && nowMs < toMs,
    );
    if (other === undefined) return;
    const forMs = Math.round(nowMs - other.fromMs);
    this.#add(
      `${device} executes ${key} of ${sender}, and ${other.holder} has the lease ${other.token} for ${forMs} ms`,
    );
  }

  /** Returns the accepted commands without a final state. */
  open(stored: readonly TransitionFacts[]): readonly string[] {
    const final = new Set(stored.filter(({ isFinal }) => isFinal).map(({ command }) => command));
    return [...this.#ids.values()].filter((id) => !final.has(id));
  }

  /** Checks all that is to be true when nothing is in progress. */
  end(facts: ControlFacts): void {
    const { stored, logged, unpublished } = facts;
    if (unpublished > 0) this.#add(`${unpublished} records of the outbox are not in the log`);
    const commands = this.#checkOrder(stored, 'the store');
    const inLog = this.#checkOrder(
      withoutRepeats(logged, (what) => this.#add(what)),
      'the log',
    );
    for (const [id, transitions] of commands) {
      const text = textOf(transitions);
      const other = textOf(inLog.get(id) ?? []);
      if (text !== other) this.#add(`the command ${id} has ${text} in the store, and ${other} in the log`);
      this.#checkOutcome(id, transitions);
    }
    for (const id of inLog.keys()) if (!commands.has(id)) this.#add(`the command ${id} is in the log alone`);
    for (const [key, id] of this.#ids)
      if (!commands.has(id)) this.#add(`${key} was accepted as ${id}, and is not in the store`);
    this.#checkAudit(facts, commands);
  }

  /** Returns the transitions of each command. */
  #checkOrder(all: readonly TransitionFacts[], where: string): ReadonlyMap<string, readonly TransitionFacts[]> {
    const byId = Map.groupBy(all, ({ command }) => command);
    const idOfKey = new Map<string, string>();
    for (const [id, transitions] of byId) {
      const [{ key }] = transitions as [TransitionFacts];
      const other = idOfKey.get(key);
      if (other !== undefined) this.#add(`${key} is ${other} and ${id} in ${where}`);
      idOfKey.set(key, id);
      if (transitions.some(({ number }, index) => number !== index + 1))
        this.#add(`${key} has the states ${textOf(transitions)} in ${where}`);
      const finals = transitions.filter(({ isFinal }) => isFinal).length;
      if (finals !== 1 || !transitions.at(-1)!.isFinal)
        this.#add(`${key} has ${finals} final states in ${where}: ${textOf(transitions)}`);
    }
    return byId;
  }

  /** Compares the final state with what the device has done. */
  #checkOutcome(id: string, transitions: readonly TransitionFacts[]): void {
    const { key, state } = transitions.at(-1)!;
    this.#stateCounts.set(state, (this.#stateCounts.get(state) ?? 0) + 1);
    const submission = this.#submissions.get(key);
    if (submission === undefined) {
      this.#add(`no person has requested the command ${id} with the key ${key}`);
      return;
    }
    const { device, qos } = submission;
    const isExecuted = (this.#byKey.get(key) ?? 0) > 0;
    if (state === 'done' && !isExecuted) this.#add(`${key} is done, and ${device} has not executed it`);
    if (['failed', 'canceled', 'expired'].includes(state) && isExecuted)
      this.#add(`${key} is ${state}, and ${device} has executed it`);
    const isDelivered = transitions.some((each) => each.state === 'delivered');
    if (isDelivered && qos > 0 && this.#received.get(device)?.has(id) !== true)
      this.#add(`${key} is delivered, and ${device} has not received it`);
    const result = this.#results.get(key);
    if (result !== undefined && result !== state)
      this.#add(`the sender of ${key} was sent ${result}, and it is ${state}`);
  }

  #checkAudit(facts: ControlFacts, commands: ReadonlyMap<string, readonly TransitionFacts[]>): void {
    const { entries, published, broken } = facts;
    for (const place of broken) this.#add(`the audit does not verify: ${JSON.stringify(place)}`);
    const inTopic = new Map(published.map(({ chain, number, hash }) => [`${chain} ${number}`, hash]));
    for (const { chain, number, hash } of entries)
      if (inTopic.get(`${chain} ${number}`) !== hash)
        this.#add(
          `the topic has ${inTopic.get(`${chain} ${number}`) ?? 'nothing'} of the audit at ${chain}:${number}, not ${hash}`,
        );
    const acts = new Set(entries.map(({ action, details }) => `${action} ${details['command']} ${details['number']}`));
    for (const [id, transitions] of commands)
      for (const { number, state } of transitions)
        if (!acts.has(`command.${state} ${id} ${number}`)) this.#add(`the audit has no ${state} of the command ${id}`);
    const refusals = new Set(entries.map(({ action, details }) => `${action} ${details['key']}`));
    for (const key of this.#refusedKeys)
      if (!refusals.has(`command.refused ${key}`)) this.#add(`the audit has no refusal of ${key}`);
    for (const [name, count] of this.#refusedLeases) {
      const found = entries.filter(
        ({ action, subject, target }) => action === 'lease.refused' && name === `${subject} ${target}`,
      ).length;
      if (found < count) this.#add(`the audit has ${found} refusals of ${name}, of ${count}`);
    }
    const tokens = new Set(
      entries.filter(({ action }) => action.startsWith('lease.')).map(({ details }) => details['token']),
    );
    for (const { token } of this.#leases) if (!tokens.has(token)) this.#add(`the audit has no lease ${token}`);
  }

  #add(facts: string): void {
    this.#violations.add('I8 commands', facts);
  }
}

/** Whether two scopes have a device in common. */
function overlaps(one: string, other: string): boolean {
  return one === other || patternCovers(one, other) || patternCovers(other, one);
}

/** Returns the transitions without those that were written again, which must be the same. */
function withoutRepeats(all: readonly TransitionFacts[], onViolation: (what: string) => void): TransitionFacts[] {
  const known = new Map<string, string>();
  return all.filter((transition) => {
    const name = `${transition.command} ${transition.number}`;
    const before = known.get(name);
    known.set(name, transition.state);
    if (before !== undefined && before !== transition.state)
      onViolation(`the log has ${before} and ${transition.state} as transition ${name}`);
    return before === undefined;
  });
}

function textOf(transitions: readonly TransitionFacts[]): string {
  return transitions.map(({ number, state, isFinal }) => `${number} ${state}${isFinal ? '!' : ''}`).join(', ');
}
