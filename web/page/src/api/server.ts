import { computed, effect, signal } from '@preact/signals';
import { ApiFailure, apiKey, call, keyWanted } from './client';
import { parseMetrics, type Sample } from './metrics';

export type ServerState = 'connecting' | 'ok' | 'loading' | 'unhealthy' | 'draining' | 'gone';

export interface ModelInfo {
  id: string;
  contextLength?: number; // tokens
  defaults: Record<string, number>; // what holds where a request says nothing
}

export const serverState = signal<ServerState>('connecting');
export const models = signal<ModelInfo[]>([]);
export const modelName = signal('');
export const model = computed(() => models.value.find((each) => each.id === modelName.value) ?? models.value[0]);
export const samples = signal<Sample[]>([]); // the newest last
export const metricsOffered = signal(true);

const healthyMs = 5000;
const unhealthyMs = 1500;
const sampleMs = 2000;
const timeoutMs = 5000;
const numSamples = 60;

async function askHealth(): Promise<ServerState> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), timeoutMs);
  try {
    const response = await fetch('health?ready', { cache: 'no-store', signal: abort.signal });
    if (response.ok) return 'ok';
    const body = await response.json().catch(() => ({}));
    if (['loading', 'unhealthy', 'draining'].includes(body.status)) return body.status;
    return response.status === 404 ? 'ok' : 'gone'; // a server without /health, or a proxy in front of none
  } catch {
    return 'gone';
  } finally {
    clearTimeout(timer);
  }
}

export async function loadModels(): Promise<void> {
  const { data } = await (await call('v1/models')).json();
  const served = (data as Record<string, unknown>[]).map((each) => ({
    id: String(each.id),
    contextLength: typeof each.max_model_len === 'number' ? each.max_model_len : undefined,
    defaults: (each.default_sampling_params ?? {}) as Record<string, number>,
  }));
  models.value = served.filter(({ id }, i) => !served.slice(0, i).some((other) => shortName(other.id) === shortName(id)));
}

// Our server lists a model by its path and by the path's last part: two names of one model.
export function shortName(id: string): string {
  return id.split('/').filter(Boolean).pop() ?? id;
}

async function sample(): Promise<void> {
  try {
    const found = parseMetrics(await (await call('metrics')).text());
    metricsOffered.value = found !== undefined;
    if (found) samples.value = [...samples.value.slice(1 - numSamples), found];
  } catch (error) {
    if (error instanceof ApiFailure && error.status === 404) metricsOffered.value = false;
  }
}

let check: Promise<ServerState> | undefined;

// Asks the server how it is, now.
export function checkServer(): Promise<ServerState> {
  check ??= (async () => {
    const state = await askHealth();
    const restarted = state === 'ok' && serverState.value !== 'ok';
    serverState.value = state;
    if (state === 'ok' && (restarted || !models.value.length) && !keyWanted.value) await loadModels().catch(() => {});
    return state;
  })().finally(() => {
    check = undefined;
  });
  return check;
}

// Until it answers, or the caller gives up.
export async function untilServing(signalToStop: AbortSignal): Promise<void> {
  while (!signalToStop.aborted && (await checkServer()) !== 'ok') await pause(unhealthyMs, signalToStop);
}

export function pause(ms: number, signalToStop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signalToStop.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}

export function watchServer(): void {
  const again = async () => {
    if (!document.hidden) await checkServer();
    setTimeout(again, serverState.value === 'ok' ? healthyMs : unhealthyMs);
  };
  const sampleAgain = async () => {
    if (!document.hidden && serverState.value === 'ok' && metricsOffered.value && !keyWanted.value) await sample();
    setTimeout(sampleAgain, sampleMs);
  };
  void again().then(sampleAgain);
  document.addEventListener('visibilitychange', () => void (document.hidden || checkServer()));
  effect(() => {
    if (apiKey.value) void checkServer().then(() => loadModels().catch(() => {}));
  });
}
