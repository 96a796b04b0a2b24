/** A child process with some clients of the run, driven by messages of its parent (`client-processes.ts`). */
import { setTimeout as sleep } from 'node:timers/promises';
import { Checker } from './checker.ts';
import { ChaosClient } from './client.ts';
import type { Answers, Request, Requests } from './client-processes.ts';

/** Clients connect in groups, with a pause between them: a connection storm is not part of this test. */
const openAtOnce = 25;
const openPauseMs = 50;
const pollMs = 20;
const unreachedMax = 10;

const checker = new Checker();
const clients: ChaosClient[] = [];

async function open({ plans, urls, token }: Requests['open']): Promise<Answers['open']> {
  for (const [i, plan] of plans.entries()) {
    clients.push(new ChaosClient(plan, checker, { url: urls, token }));
    if (i % openAtOnce === openAtOnce - 1) await sleep(openPauseMs);
  }
  return undefined;
}

function startFault({ atMs, acknowledged }: Requests['startFault']): Answers['startFault'] {
  for (const client of clients) client.startFault(atMs, acknowledged);
  return undefined;
}

async function reach({ targets, deadlineMs }: Requests['reach']): Promise<Answers['reach']> {
  const deadlineAtMs = performance.now() + deadlineMs;
  let left = clients;
  while (left.length > 0 && performance.now() < deadlineAtMs) {
    await sleep(pollMs);
    left = left.filter((client) => !client.hasReached(targets));
  }
  const losses = new Map<string, number>();
  for (const client of clients) {
    for (const [why, count] of client.losses) losses.set(why, (losses.get(why) ?? 0) + count);
  }
  return {
    unreached: left.slice(0, unreachedMax).map((client) => client.describe(targets)),
    unreachedCount: left.length,
    seen: clients.map((client) => client.seen()),
    losses,
    dropped: clients.reduce((sum, client) => sum + client.dropped, 0),
    verdict: { ...checker.verdict },
    findings: [...checker.findings],
  };
}

function end({ acknowledged, sent }: Requests['end']): Answers['end'] {
  for (const client of clients) client.close();
  checker.end(acknowledged, sent);
  return { verdict: { ...checker.verdict }, findings: [...checker.findings] };
}

const handlers: { readonly [K in keyof Requests]: (body: Requests[K]) => Answers[K] | Promise<Answers[K]> } = {
  open,
  startFault,
  reach,
  end,
};

async function answer<K extends keyof Requests>({ id, kind, body }: Request<K>): Promise<void> {
  process.send?.({ id, answer: await handlers[kind](body) });
}

process.on('message', (request) => void answer(request as Request<keyof Requests>));
process.on('disconnect', () => process.exit(0));
