import { createHook } from 'node:async_hooks';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { TailraceError } from '@tailrace/protocol/error';

export interface LeakCheck {
  /** Returns what is open now and was not at the start, one line each. */
  leaks(): string[];
  /**
   * Rejects with `internal` and the list if something is still open after `graceMs` (default 5000), or if there was an
   * unhandled rejection.
   */
  assertNone(options?: { graceMs?: number }): Promise<void>;
}

/**
 * Names of what a test can forget to close: those of `process.getActiveResourcesInfo`, and readable ones. All of these
 * keep a process alive.
 */
const names: Readonly<Record<string, string>> = {
  TCPSocketWrap: 'TCP connection that is open',
  TCPServerWrap: 'server that listens on a port',
  PipeWrap: 'pipe or local socket that is open',
  PipeServerWrap: 'server that listens on a local socket',
  UDPWrap: 'UDP socket that is open',
  Timeout: 'timer (setTimeout or setInterval) that waits',
  ProcessWrap: 'child process that runs',
  MessagePort: 'worker or message port that is open',
  Worker: 'worker that runs',
  FSEvent: 'watcher of a file',
  StatWatcher: 'watcher of a file',
};

/**
 * Records what is open now; later, lists what was opened since and not closed. Sees what keeps the process alive
 * (`unref`ed timers and sockets do not) and belongs to Node: sockets of uWebSockets.js do not.
 *
 * `TAILRACE_LEAKS=where` adds the place in the code where each was opened, and makes every promise of the run cost
 * more.
 */
export function startLeakCheck(env: Readonly<Record<string, string | undefined>> = process.env): LeakCheck {
  const before = countActive();
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => unhandled.push(reason);
  process.on('unhandledRejection', note);
  const places = env['TAILRACE_LEAKS'] === 'where' ? tracePlaces() : undefined;

  const leaks = () => {
    const lines: string[] = [];
    for (const [type, count] of countActive()) {
      const added = count - (before.get(type) ?? 0);
      if (added > 0) lines.push(`${added} × ${names[type]}${places ? places.of(type) : ''}`);
    }
    return lines;
  };
  return {
    leaks,
    async assertNone({ graceMs = 5000 } = {}) {
      // What was just closed needs some turns of the event loop to disappear.
      const giveUpAt = performance.now() + graceMs;
      while (leaks().length > 0 && performance.now() < giveUpAt) await sleep(5);
      // Node reports rejections after the microtasks of their turn of the event loop.
      await new Promise((resolve) => setImmediate(resolve));
      process.off('unhandledRejection', note);
      const lines = leaks();
      places?.end();
      const hint = lines.length > 0 && !places ? ['TAILRACE_LEAKS=where shows where they were made.'] : [];
      for (const reason of unhandled) {
        lines.push(`unhandled rejection: ${reason instanceof Error ? reason.stack : String(reason)}`);
      }
      if (lines.length > 0)
        throw new TailraceError('internal', `left open at the end:\n  ${[...lines, ...hint].join('\n  ')}`);
    },
  };
}

/** For the report of the failure to be written. */
const exitGraceMs = 1000;

/** For the top of a test file: the file fails if anything is left open after its last test. */
export function failOnLeaks(options: { graceMs?: number } = {}): void {
  const check = startLeakCheck();
  // Hooks run in the order of their registration. This one must come after those of the file, which close what it
  // opened: so it is registered after the file has been evaluated.
  queueMicrotask(() =>
    after(async () => {
      try {
        await check.assertNone(options);
      } catch (error) {
        // A leak keeps this process alive, and with it the whole run: then this timer fires.
        setTimeout(() => process.exit(1), exitGraceMs).unref();
        throw error;
      }
    }),
  );
}

function countActive(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const type of process.getActiveResourcesInfo()) {
    if (Object.hasOwn(names, type)) counts.set(type, (counts.get(type) ?? 0) + 1);
  }
  return counts;
}

/** `async_hooks` has other names for some of them than `getActiveResourcesInfo`. */
const hookNames: Readonly<Record<string, string>> = {
  TCPWRAP: 'TCPSocketWrap',
  TCPSERVERWRAP: 'TCPServerWrap',
  PIPEWRAP: 'PipeWrap',
  PIPESERVERWRAP: 'PipeServerWrap',
  UDPWRAP: 'UDPWrap',
  PROCESSWRAP: 'ProcessWrap',
  MESSAGEPORT: 'MessagePort',
  WORKER: 'Worker',
};

function tracePlaces(): { of(type: string): string; end(): void } {
  const made = new Map<number, { type: string; place: string }>();
  const hook = createHook({
    init(id, hookType) {
      const type = hookNames[hookType] ?? hookType;
      if (!Object.hasOwn(names, type)) return;
      const stack = new Error('made here').stack ?? '';
      const lines = stack.split('\n').filter((line) => line.includes('file:') && !line.includes(import.meta.filename));
      made.set(id, {
        type,
        place: lines
          .slice(0, 3)
          .map((line) => line.trim())
          .join(' ← '),
      });
    },
    destroy(id) {
      made.delete(id);
    },
  });
  hook.enable();
  return {
    of: (type) =>
      [...made.values()]
        .filter((entry) => entry.type === type && entry.place !== '')
        .map((entry) => `\n    made ${entry.place}`)
        .join(''),
    end: () => hook.disable(),
  };
}
