import { signal } from '@preact/signals';

// Kept for this tab only.
const keyName = 'lmdeploy-key';
function storedKey(): string {
  try {
    return sessionStorage.getItem(keyName) ?? '';
  } catch {
    return '';
  }
}
export const apiKey = signal(storedKey());
export const keyWanted = signal(false);

export function setApiKey(key: string): void {
  apiKey.value = key;
  keyWanted.value = false;
  try {
    if (key) sessionStorage.setItem(keyName, key);
    else sessionStorage.removeItem(keyName);
  } catch {
    // For as long as the page lives, then.
  }
}

// The server refused, in words of its own.
export class ApiFailure extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly retryAfter: number, // seconds; 0: it said nothing
    readonly param?: string,
  ) {
    super(message);
  }
}

async function failureOf(response: Response): Promise<ApiFailure> {
  let message = `${response.status} ${response.statusText}`;
  let param: string | undefined;
  const text = await response.text().catch(() => '');
  try {
    const body = JSON.parse(text);
    message = body.error?.message ?? body.message ?? message;
    param = body.error?.param ?? undefined;
  } catch {
    if (text && text.length < 300 && !text.trimStart().startsWith('<')) message = text;
  }
  return new ApiFailure(response.status, message, Number(response.headers.get('Retry-After')) || 0, param);
}

// A request to the server that the page came from, wherever a proxy has put it. Throws ApiFailure, and
// TypeError where nobody answers.
export async function call(path: string, init: RequestInit & { json?: unknown } = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (apiKey.value) headers.set('Authorization', `Bearer ${apiKey.value}`);
  const { json, ...rest } = init;
  if (json !== undefined) {
    headers.set('Content-Type', 'application/json');
    rest.method = 'POST';
    rest.body = JSON.stringify(json);
  }
  const response = await fetch(path, { ...rest, headers, cache: 'no-store', credentials: 'same-origin' });
  if (response.ok) return response;
  if (response.status === 401) keyWanted.value = true;
  throw await failureOf(response);
}
