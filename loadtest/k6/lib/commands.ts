import http from 'k6/http';
import { Counter, Trend } from 'k6/metrics';
import { openSocket, type Socket } from './socket.ts';

const measures = {
  accepted: new Counter('tailrace_commands'),
  refused: new Counter('tailrace_refused_commands'),
  /** Pairs of a watcher and a command that had no final transition, or several. */
  wrong: new Counter('tailrace_wrong_finals'),
  notDone: new Counter('tailrace_commands_not_done'),
  /** From the request until a watcher has `done`. */
  done: new Trend('tailrace_command_done', true),
  alarms: new Counter('tailrace_alarm_frames'),
} as const;

const finalStates = ['done', 'failed', 'expired', 'canceled'];
/** Deadline of each command, ms. */
const deadlineMs = 10_000;
const tickMs = 20;

export interface CommandsOptions {
  readonly targets: readonly string[];
  /** URL of control. */
  readonly control: string;
  readonly token: string;
  readonly devices: readonly string[];
  /** The tag that is written, with 12. */
  readonly tag: string;
  readonly watchers: number;
  readonly ratePerSecond: number;
  readonly durationMs: number;
  readonly graceMs: number;
}

interface Sent {
  readonly sentMs: number;
  /** Final states that each watcher has received. */
  readonly finals: string[][];
}

/** The part of a frame that is read. */
interface Frame {
  readonly alarm?: object;
  readonly subscribed?: object;
  readonly error?: { readonly message: string };
  readonly command?: { readonly events: readonly { readonly transition?: { key: string; state: string } }[] };
}

/**
 * One VU that sends commands by HTTP at a rate, and whose sockets watch all of their devices. Resolves when each
 * watcher has the final state of each command, or the time for it has passed.
 */
export function sendCommands(options: CommandsOptions, vu: number): Promise<void> {
  return new Promise((resolve) => new Commander(options, vu, resolve).start());
}

class Commander {
  readonly #options: CommandsOptions;
  readonly #vu: number;
  readonly #onDone: () => void;
  readonly #sent = new Map<string, Sent>();
  readonly #sockets: Socket[] = [];
  #subscribed = 0;
  #startMs = 0;
  #count = 0;

  constructor(options: CommandsOptions, vu: number, onDone: () => void) {
    this.#options = options;
    this.#vu = vu;
    this.#onDone = onDone;
  }

  start(): void {
    for (let watcher = 0; watcher < this.#options.watchers; watcher++) this.#watch(watcher);
    const waitedFromMs = Date.now();
    const { devices, watchers, durationMs, graceMs } = this.#options;
    const timer = setInterval(() => {
      const nowMs = Date.now();
      if (this.#startMs === 0) {
        const isReady = this.#subscribed === watchers * devices.length;
        if (isReady || nowMs - waitedFromMs > graceMs) this.#startMs = nowMs;
        return;
      }
      this.#sendDue(nowMs - this.#startMs);
      const elapsedMs = nowMs - this.#startMs;
      if (elapsedMs < durationMs || (!this.#isComplete() && elapsedMs < durationMs + deadlineMs + graceMs)) return;
      clearInterval(timer);
      this.#report();
      for (const socket of this.#sockets) socket.close();
      this.#onDone();
    }, tickMs);
  }

  #watch(watcher: number): void {
    const { targets, token, devices } = this.#options;
    const url = `${targets[watcher % targets.length]}/v1/stream`;
    const socket = openSocket(url, 'tailrace.v1.json', {
      onOpen: () => {
        socket.send(JSON.stringify({ auth: { token } }));
        for (const [index, channel] of devices.entries())
          socket.send(JSON.stringify({ subscribe: { id: `c${index}`, channel, alarms: true, commands: true } }));
      },
      onFrame: (frame) => this.#onFrame(watcher, JSON.parse(String(frame)) as Frame),
      onClose: () => undefined,
    });
    this.#sockets.push(socket);
  }

  #onFrame(watcher: number, { alarm, subscribed, error, command }: Frame): void {
    if (subscribed !== undefined) this.#subscribed++;
    if (alarm !== undefined) measures.alarms.add(1);
    if (error !== undefined) console.error(error.message);
    for (const { transition } of command?.events ?? []) {
      const sent = transition === undefined ? undefined : this.#sent.get(transition.key);
      if (sent === undefined || !finalStates.includes(transition!.state)) continue;
      sent.finals[watcher]!.push(transition!.state);
      if (transition!.state === 'done') measures.done.add(Date.now() - sent.sentMs);
    }
  }

  #sendDue(elapsedMs: number): void {
    const { ratePerSecond, durationMs } = this.#options;
    const due = Math.floor((Math.min(elapsedMs, durationMs) * ratePerSecond) / 1000);
    for (; this.#count < due; this.#count++) this.#send(this.#count);
  }

  #send(n: number): void {
    const { control, token, devices, tag, watchers } = this.#options;
    const id = `k6-${this.#startMs.toString(36)}-${this.#vu}-${n}`;
    const sentMs = Date.now();
    this.#sent.set(id, { sentMs, finals: Array.from({ length: watchers }, () => []) });
    const device = devices[n % devices.length]!;
    const body = JSON.stringify({ id, device, name: 'set', params: { [tag]: 12 }, deadline: sentMs + deadlineMs });
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
    void http
      .asyncRequest('POST', `${control}/v1/commands`, body, { headers, tags: { name: 'command' } })
      .then(({ status, body: text }) => {
        if (status === 202) {
          measures.accepted.add(1);
          return;
        }
        measures.refused.add(1);
        this.#sent.delete(id);
        console.warn(`control answered ${status}: ${String(text)}`);
      });
  }

  #isComplete(): boolean {
    return [...this.#sent.values()].every(({ finals }) => finals.every((states) => states.length > 0));
  }

  #report(): void {
    let [wrong, notDone] = [0, 0];
    for (const { finals } of this.#sent.values())
      for (const states of finals) {
        if (states.length !== 1) wrong++;
        else if (states[0] !== 'done') notDone++;
      }
    measures.wrong.add(wrong);
    measures.notDone.add(notDone);
  }
}
