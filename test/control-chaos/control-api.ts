import type { ActLedger } from './act-ledger.ts';

export interface ControlAnswer {
  /** 0: there was none. */
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: the callers name the fields
  readonly body: any;
}

/** Above every time-out of control. */
const requestMs = 20_000;

/** The API of control, as a program uses it that knows all of its processes. */
export class ControlApi {
  readonly #urls: readonly string[];
  readonly #ledger: ActLedger | undefined;
  #turn = 0;

  /** `ledger`: gets each attempt of `request`. */
  constructor(urls: readonly string[], ledger?: ActLedger) {
    this.#urls = urls;
    this.#ledger = ledger;
  }

  /** Sends a request to the next process. Never rejects. */
  async request(
    token: string,
    method: string,
    path: string,
    body?: object,
    format: 'json' | 'lines' = 'json',
  ): Promise<ControlAnswer> {
    const url = this.#urls[this.#turn++ % this.#urls.length]!;
    const atMs = Date.now();
    const startMs = performance.now();
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const signal = AbortSignal.timeout(requestMs);
    let answer: ControlAnswer = { status: 0, body: undefined };
    try {
      const response = await fetch(url + path, {
        ...{ method, headers, signal },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      answer = { status: response.status, body: parsed(text, response.ok ? format : 'json') };
    } catch {
      // It may have been done.
    }
    const { code = '', retryable = true } = answer.body?.error ?? {};
    const tookMs = performance.now() - startMs;
    this.#ledger?.attempts.push({ atMs, tookMs, status: answer.status, code, isRetryable: retryable });
    return answer;
  }

  /** Resolves with the body of an answer that is no error. Rejects otherwise. */
  async ok(...request: Parameters<ControlApi['request']>): Promise<ControlAnswer['body']> {
    const [, method, path] = request;
    const answer = await this.request(...request);
    if (answer.status >= 200 && answer.status < 300) return answer.body;
    throw new Error(`${method} ${path}: expected an answer, got ${answer.status} ${JSON.stringify(answer.body)}`);
  }

  /** Resolves with the items of all pages. `cursor`: the parameter that takes `next`. */
  async pages(token: string, path: string, field: string, cursor: string): Promise<ControlAnswer['body'][]> {
    const items: ControlAnswer['body'][] = [];
    for (let next = ''; ; ) {
      const query = `${path.includes('?') ? '&' : '?'}limit=500${next === '' ? '' : `&${cursor}=${next}`}`;
      const page = await this.ok(token, 'GET', path + query);
      items.push(...page[field]);
      if (page.next === undefined) return items;
      next = page.next;
    }
  }
}

function parsed(text: string, format: 'json' | 'lines'): ControlAnswer['body'] {
  if (format === 'json') return text === '' ? undefined : JSON.parse(text);
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}
