/** What people request: a command, an action on an alarm, something about a lease. */
export type ActKind = 'command' | 'alarm' | 'lease';

/** One request of a person, from its first attempt on. */
export interface Act {
  readonly kind: ActKind;
  readonly subject: string;
  /** A device or a scope. */
  readonly target: string;
  /** Of a command, its key; otherwise unique, and known to the ledger alone. */
  readonly key: string;
  /** `acknowledge`, `acquire`, the name of a command. */
  readonly name: string;
  /** Epoch ms; 0: none. */
  readonly deadline: number;
  /** What the answers had: the ID of the command or the action, the token of the lease. One of each answer. */
  readonly answers: string[];
  /** Error codes by which it was refused for good. */
  readonly refusals: string[];
  /** Whether an attempt had no answer: it may have been done. */
  isDoubtful: boolean;
}

/** The answer to one attempt. */
export interface Attempt {
  /** Epoch ms. */
  readonly atMs: number;
  readonly tookMs: number;
  /** 0: there was none, because the connection was lost or the time had passed. */
  readonly status: number;
  /** Of an error. */
  readonly code: string;
  readonly isRetryable: boolean;
}

/** What people have requested, and what control has answered. Written before each attempt, and after it. */
export class ActLedger {
  readonly acts: Act[] = [];
  readonly attempts: Attempt[] = [];

  start(act: Pick<Act, 'kind' | 'subject' | 'target' | 'key' | 'name'> & { readonly deadline?: number }): Act {
    const started: Act = { deadline: 0, ...act, answers: [], refusals: [], isDoubtful: false };
    this.acts.push(started);
    return started;
  }

  /** Requests of a kind that control has accepted. */
  accepted(kind: ActKind): readonly Act[] {
    return this.acts.filter((act) => act.kind === kind && act.answers.length > 0);
  }
}
