import { expect, test } from 'vitest';
import { applyChunk, emptyAnswer, type Chunk } from '../src/api/deltas';
import { parseMetrics } from '../src/api/metrics';
import { SseParser } from '../src/api/sse';

const encoder = new TextEncoder();
const stream = 'data: {"a": "é中"}\n\n: comment\n\ndata: one\ndata: two\r\n\r\nevent: error\ndata:three\n\ndata: [DONE]\n\n';

test('events are the same however the bytes are cut', () => {
  const bytes = encoder.encode(stream);
  for (let size = 1; size <= bytes.length; ++size) {
    const parser = new SseParser();
    const events: string[] = [];
    for (let i = 0; i < bytes.length; i += size) events.push(...parser.push(bytes.slice(i, i + size)));
    expect(events).toEqual(['{"a": "é中"}', 'one\ntwo', 'three', '[DONE]']);
  }
});

test('deltas of text, reasoning and two tools at once', () => {
  const answer = emptyAnswer();
  const deltas: NonNullable<NonNullable<Chunk['choices']>[0]['delta']>[] = [
    { reasoning_content: 'h' }, { reasoning_content: 'm' }, { content: 'a' }, { content: null },
    { tool_calls: [{ index: 0, id: 'x', function: { name: 'add', arguments: '' } }] },
    { tool_calls: [{ index: 1, id: 'y', function: { name: 'mul', arguments: '{' } }] },
    { tool_calls: [{ index: 0, function: { arguments: '{"a"' } }, { index: 1, function: { arguments: '}' } }] },
    { tool_calls: [{ index: 0, function: { arguments: ':1}' } }] },
  ];
  for (const delta of deltas) applyChunk(answer, { choices: [{ delta }] });
  expect(applyChunk(answer, { choices: [{ delta: {}, finish_reason: 'tool_calls' }] })).toBe(false);
  applyChunk(answer, { choices: [], usage: { prompt_tokens: 5, completion_tokens: 3, prompt_tokens_details: { cached_tokens: 2 } } });
  expect(answer).toMatchObject({
    content: 'a', reasoning: 'hm', finish: 'tool_calls',
    toolCalls: [{ id: 'x', name: 'add', arguments: '{"a":1}' }, { id: 'y', name: 'mul', arguments: '{}' }],
    usage: { promptTokens: 5, completionTokens: 3, cachedTokens: 2 },
  });
});

test('metrics of ours and of others', () => {
  const text = '# HELP x\nlmdeploy:num_requests_running{engine="0",model_name="m"} 3\nlmdeploy:num_requests_waiting{engine="0"} 1\nlmdeploy:kv_cache_usage_perc{engine="0"} 0.25\n';
  expect(parseMetrics(text)).toEqual({ running: 3, waiting: 1, cacheUsage: 0.25 });
  expect(parseMetrics(text.replaceAll('lmdeploy:', 'vllm:'))).toEqual({ running: 3, waiting: 1, cacheUsage: 0.25 });
  expect(parseMetrics('go_threads 3\n')).toBeUndefined();
});
