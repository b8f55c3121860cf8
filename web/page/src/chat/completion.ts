import type { Signal } from '@preact/signals';
import { ApiFailure, call, keyWanted } from '../api/client';
import { applyChunk, emptyAnswer, type Chunk, type PartialAnswer } from '../api/deltas';
import { checkServer, loadModels, model, pause, serverState, untilServing } from '../api/server';
import { SseParser } from '../api/sse';
import { saveNode } from '../state/conversations';
import type { ChatNode, Settings } from '../types';
import { requestBody } from './request';
import { enabledTools } from './tools';

export type Waiting = 'full' | 'loading' | 'unhealthy' | 'draining' | 'gone' | 'key';

// An answer that is being made.
export interface Run {
  node: Signal<ChatNode>;
  waiting: Signal<Waiting | undefined>; // why nothing comes
  abort: AbortController;
}
const showEveryMs = 40;
const minSeconds = 0.02; // what comes at once has no speed
const retryMs = [1000, 2000, 4000, 8000];

// One answer, over as many requests as it takes: where the server is full or away the page waits and goes on.
export async function complete(run: Run, path: ChatNode[], settings: Settings): Promise<ChatNode> {
  const { signal: stopped } = run.abort;
  for (let attempt = 0; ; ++attempt) {
    try {
      await receive(run, path, settings);
      break;
    } catch (error) {
      if (stopped.aborted) break;
      if (!(await waitsOut(run, error, attempt))) {
        run.node.value = { ...run.node.value, error: error instanceof Error ? error.message : String(error) };
        break;
      }
      if (stopped.aborted) break;
    }
  }
  if (stopped.aborted) run.node.value = { ...run.node.value, finish: 'stopped' };
  run.waiting.value = undefined;
  saveNode(run.node.value);
  return run.node.value;
}

// Waits until it makes sense to ask again; false where it never will.
async function waitsOut(run: Run, error: unknown, attempt: number): Promise<boolean> {
  const { signal: stopped } = run.abort;
  const backoff = retryMs[Math.min(attempt, retryMs.length - 1)];
  if (error instanceof ApiFailure) {
    if (error.status === 401) {
      run.waiting.value = 'key';
      while (!stopped.aborted && keyWanted.value) await pause(200, stopped);
      return true;
    }
    if (error.status === 429) {
      run.waiting.value = 'full';
      await pause(Math.max(error.retryAfter * 1000, backoff), stopped);
      return true;
    }
    if (![502, 503, 504].includes(error.status)) return false;
  }
  if (error instanceof SyntaxError) return false; // JSON that the user has written
  const state = await checkServer();
  run.waiting.value = state === 'ok' ? 'full' : state === 'connecting' ? 'gone' : state;
  await pause(state === 'ok' ? backoff : Math.min(backoff, 1500), stopped);
  await untilServing(stopped);
  return true;
}

class BrokenStream extends Error {}

async function receive(run: Run, path: ChatNode[], settings: Settings): Promise<void> {
  const before = run.node.value;
  if (!model.value) await loadModels();
  const goesOn = before.content !== '' && !before.toolCalls?.length;
  const body = requestBody(goesOn ? [...path, before] : path, settings, enabledTools.value, model.value?.id);
  if (goesOn) Object.assign(body, { add_generation_prompt: false, continue_final_message: true });
  const sent = performance.now();
  const response = await call('v1/chat/completions', { json: body, signal: run.abort.signal });
  run.waiting.value = undefined;
  serverState.value = 'ok';
  const answer: PartialAnswer = { ...emptyAnswer(), content: goesOn ? before.content : '', reasoning: goesOn ? (before.reasoning ?? '') : '' };
  const clock: Clock = { sent, first: 0, last: 0, shown: 0, pending: undefined };
  await readChunks(response, (chunk) => {
    if (chunk.error) throw new BrokenStream(chunk.error.message ?? 'error');
    if (applyChunk(answer, chunk)) {
      clock.last = performance.now();
      clock.first ||= clock.last;
    }
    show(run, answer, clock);
  });
  showNow(run, answer, clock);
  if (!answer.finish || answer.finish === 'abort') throw new BrokenStream('the server ended the answer');
}

async function readChunks(response: Response, onChunk: (chunk: Chunk) => void): Promise<void> {
  const parser = new SseParser();
  const reader = response.body!.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    for (const data of parser.push(value)) if (data !== '[DONE]') onChunk(JSON.parse(data));
  }
}

interface Clock {
  sent: number;
  first: number; // 0: nothing has come
  last: number;
  shown: number;
  pending: number | undefined; // timer that will show what has come since
}

function show(run: Run, answer: PartialAnswer, clock: Clock): void {
  if (clock.pending !== undefined) return;
  const wait = Math.max(0, showEveryMs - (performance.now() - clock.shown));
  clock.pending = window.setTimeout(() => showNow(run, answer, clock), wait);
}

function showNow(run: Run, answer: PartialAnswer, clock: Clock): void {
  clearTimeout(clock.pending);
  clock.pending = undefined;
  clock.shown = performance.now();
  const { usage } = answer;
  const seconds = (clock.last - clock.first) / 1000;
  const numTokens = usage?.completionTokens;
  run.node.value = {
    ...run.node.value,
    content: answer.content,
    reasoning: answer.reasoning || undefined,
    toolCalls: answer.toolCalls.length ? answer.toolCalls.map((toolCall) => ({ ...toolCall })) : undefined,
    tokens: answer.tokens.length ? [...answer.tokens] : undefined,
    finish: answer.finish,
    model: answer.model,
    stats: {
      ...usage,
      firstTokenMs: clock.first ? clock.first - clock.sent : undefined,
      tokensPerSecond: numTokens && numTokens > 1 && seconds > minSeconds ? (numTokens - 1) / seconds : undefined,
    },
  };
}
