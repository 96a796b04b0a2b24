/** A child of the chaos run: some of its clients, asked by messages of the parent (`crowd.ts`). Ends with its parent. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Checker } from './checker.ts';
import { ChaosClient } from './client.ts';
import type { Answers, Asks, Question } from './crowd.ts';

/** So many clients connect in one go, and then the next after a breath: a crowd that comes at once is not what is measured here. */
const openAtOnce = 25;
const openPauseMs = 50;
const pollMs = 20;
const unreachedMax = 10;

const checker = new Checker();
const clients: ChaosClient[] = [];

async function open({ plans, urls, token }: Asks['open']): Promise<Answers['open']> {
  for (const [i, plan] of plans.entries()) {
    clients.push(new ChaosClient(plan, checker, { url: urls, token }));
    if (i % openAtOnce === openAtOnce - 1) await sleep(openPauseMs);
  }
  return undefined;
}

function begin({ atMs, acknowledged }: Asks['begin']): Answers['begin'] {
  for (const client of clients) client.begin(atMs, acknowledged);
  return undefined;
}

async function reach({ targets, deadlineMs }: Asks['reach']): Promise<Answers['reach']> {
  const giveUpAt = performance.now() + deadlineMs;
  let left = clients;
  while (left.length > 0 && performance.now() < giveUpAt) {
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

function end({ acknowledged, sent }: Asks['end']): Answers['end'] {
  for (const client of clients) client.close();
  checker.end(acknowledged, sent);
  return { verdict: { ...checker.verdict }, findings: [...checker.findings] };
}

const handlers: { readonly [K in keyof Asks]: (ask: Asks[K]) => Answers[K] | Promise<Answers[K]> } = {
  open,
  begin,
  reach,
  end,
};

async function answer<K extends keyof Asks>({ id, kind, ask }: Question<K>): Promise<void> {
  process.send?.({ id, answer: await handlers[kind](ask) });
}

process.on('message', (question) => void answer(question as Question<keyof Asks>));
process.on('disconnect', () => process.exit(0));
