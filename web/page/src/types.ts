export type Role = 'user' | 'assistant' | 'tool';

export interface ToolCall {
  id: string;
  name: string;
  arguments: string; // JSON, as far as it has come
}

export interface TokenChoice {
  token: string;
  logprob: number;
}

export interface TokenInfo extends TokenChoice {
  top: TokenChoice[]; // the likeliest ones at this place
}

export interface AnswerStats {
  promptTokens?: number;
  cachedTokens?: number;
  completionTokens?: number;
  firstTokenMs?: number; // from sending to the first piece of the answer
  tokensPerSecond?: number; // after the first
}

export interface TextFile {
  name: string;
  text: string;
}

// One message; the messages of a conversation are a tree, whose siblings are the branches.
export interface ChatNode {
  id: string;
  conversation: string;
  parent: string | null;
  created: number; // milliseconds; siblings are in this order
  role: Role;
  content: string;
  reasoning?: string;
  toolCalls?: ToolCall[];
  toolCallId?: string; // of a tool's result
  toolName?: string;
  files?: TextFile[];
  model?: string;
  finish?: string; // finish_reason; undefined: it has not come to its end
  error?: string;
  stats?: AnswerStats;
  tokens?: TokenInfo[];
}

export interface ToolDefinition {
  name: string;
  description: string;
  parameters: string; // JSON Schema
  answer: string; // what it returns, {{parameter}} replaced; empty: the user is asked
  enabled: boolean;
}

export interface Sampling {
  temperature?: number;
  top_p?: number;
  top_k?: number;
  min_p?: number;
  typical_p?: number;
  repetition_penalty?: number;
  presence_penalty?: number;
  frequency_penalty?: number;
  max_tokens?: number;
  min_new_tokens?: number;
  seed?: number;
  stop?: string[];
  ignore_eos?: boolean;
  skip_special_tokens?: boolean;
}

export interface Settings {
  system: string;
  sampling: Sampling;
  toolsOn: boolean;
  toolChoice: string; // auto, required, none, or a tool's name
  schemaOn: boolean;
  schema: string; // JSON Schema of the answer
  logprobs: boolean;
  thinking: 'default' | 'on' | 'off';
  extra: string; // a JSON object of further fields of the request
}

export interface Conversation {
  id: string;
  title: string;
  created: number;
  updated: number;
  settings: Settings;
  chosen: Record<string, string>; // parent ('' at the root) -> the child that is shown
}
