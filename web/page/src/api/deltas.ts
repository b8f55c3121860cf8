import type { AnswerStats, TokenInfo, ToolCall } from '../types';

// An answer as it grows out of the chunks of /v1/chat/completions.
export interface PartialAnswer {
  content: string;
  reasoning: string;
  toolCalls: ToolCall[];
  tokens: TokenInfo[];
  finish?: string;
  model?: string;
  usage?: Pick<AnswerStats, 'promptTokens' | 'completionTokens' | 'cachedTokens'>;
}

export const emptyAnswer = (): PartialAnswer => ({ content: '', reasoning: '', toolCalls: [], tokens: [] });

interface TokenEntry {
  token: string;
  logprob: number;
  top_logprobs?: { token: string; logprob: number }[];
}

export interface Chunk {
  model?: string;
  error?: { message?: string; code?: string | null };
  choices?: {
    delta?: {
      content?: string | null;
      reasoning_content?: string | null;
      reasoning?: string | null;
      tool_calls?: { index?: number; id?: string; function?: { name?: string; arguments?: string } }[];
    };
    logprobs?: { content?: TokenEntry[] | null } | null;
    finish_reason?: string | null;
  }[];
  usage?: {
    prompt_tokens: number;
    completion_tokens: number;
    prompt_tokens_details?: { cached_tokens?: number } | null;
  } | null;
}

// Adds a chunk; true where it brought a piece of the answer.
export function applyChunk(answer: PartialAnswer, chunk: Chunk): boolean {
  if (chunk.model) answer.model = chunk.model;
  if (chunk.usage)
    answer.usage = {
      promptTokens: chunk.usage.prompt_tokens,
      completionTokens: chunk.usage.completion_tokens,
      cachedTokens: chunk.usage.prompt_tokens_details?.cached_tokens,
    };
  const choice = chunk.choices?.[0];
  if (!choice) return false;
  const { delta } = choice;
  if (choice.finish_reason) answer.finish = choice.finish_reason;
  const reasoning = delta?.reasoning_content ?? delta?.reasoning;
  if (delta?.content) answer.content += delta.content;
  if (reasoning) answer.reasoning += reasoning;
  for (const call of delta?.tool_calls ?? []) {
    const at = (answer.toolCalls[call.index ?? 0] ??= { id: '', name: '', arguments: '' });
    if (call.id) at.id = call.id;
    at.name += call.function?.name ?? '';
    at.arguments += call.function?.arguments ?? '';
  }
  for (const { token, logprob, top_logprobs } of choice.logprobs?.content ?? [])
    answer.tokens.push({ token, logprob, top: (top_logprobs ?? []).map((top) => ({ token: top.token, logprob: top.logprob })) });
  return Boolean(delta?.content || reasoning || delta?.tool_calls?.length);
}
