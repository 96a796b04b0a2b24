import { refusalText } from './control-words.ts';
import type { Live } from './live.ts';

/** The answer of the API of control, or why there is none, as a sentence for the user. */
export type ControlAnswer<T> = { readonly body: T } | { readonly error: string };

const deadlineMs = 15_000;

/** Sends a request to the API of control. Never rejects. A token that has expired is renewed once. */
export async function requestControl<T>(
  live: Pick<Live, 'config' | 'renewToken'>,
  method: 'GET' | 'POST',
  path: string,
  body?: object,
): Promise<ControlAnswer<T>> {
  const config = live.config.peek();
  if (config?.controlUrl === undefined) return { error: 'This installation has no control for pages.' };
  const { controlUrl, token } = config;
  const answer = await send<T>(controlUrl, token, method, path, body);
  if (!('status' in answer)) return answer;
  const fresh = await live.renewToken();
  const again = await send<T>(controlUrl, fresh, method, path, body);
  return 'status' in again ? { error: 'The token of this page has expired.' } : again;
}

async function send<T>(
  url: string,
  token: string,
  method: string,
  path: string,
  body: object | undefined,
): Promise<ControlAnswer<T> | { readonly status: 401 }> {
  try {
    const headers: Record<string, string> = { authorization: `Bearer ${token}` };
    if (body !== undefined) headers['content-type'] = 'application/json';
    const signal = AbortSignal.timeout(deadlineMs);
    const init: RequestInit = { method, headers, cache: 'no-store', signal };
    const response = await fetch(url + path, body === undefined ? init : { ...init, body: JSON.stringify(body) });
    if (response.status === 401) return { status: 401 };
    const answer: unknown = await response.json();
    if (response.ok) return { body: answer as T };
    const { code = '', message = `Control answered ${response.status}.` } =
      (Object(answer) as { error?: { code?: string; message?: string } }).error ?? {};
    return { error: refusalText({ code, message }, Date.now()) };
  } catch {
    return { error: `${new URL(url).host} does not answer.` };
  }
}
