import type { ChatNode, Settings, ToolDefinition } from '../types';

type Message = Record<string, unknown>;

function textOf(node: ChatNode): string {
  const files = (node.files ?? []).map(({ name, text }) => {
    const fence = '`'.repeat(Math.max(3, ...[...text.matchAll(/`+/g)].map(([run]) => run.length + 1)));
    return `${name}:\n${fence}\n${text}\n${fence}`;
  });
  return [...files, node.content].filter(Boolean).join('\n\n');
}

function messageOf(node: ChatNode): Message {
  if (node.role === 'tool') return { role: 'tool', tool_call_id: node.toolCallId, content: node.content };
  const message: Message = { role: node.role, content: textOf(node) };
  if (node.toolCalls?.length)
    message.tool_calls = node.toolCalls.map((call) => ({
      id: call.id,
      type: 'function',
      function: { name: call.name, arguments: call.arguments },
    }));
  return message;
}

function toolsOf(tools: ToolDefinition[]): Message[] {
  return tools.map(({ name, description, parameters }) => ({
    type: 'function',
    function: { name, description, parameters: JSON.parse(parameters) },
  }));
}

function toolChoiceOf(choice: string): unknown {
  return ['auto', 'required', 'none'].includes(choice) ? choice : { type: 'function', function: { name: choice } };
}

// The body of /v1/chat/completions. Only what the user has set is sent: for the rest the server's defaults hold.
export function requestBody(path: ChatNode[], settings: Settings, tools: ToolDefinition[], model: string | undefined): Message {
  const messages = path.map(messageOf);
  if (settings.system.trim()) messages.unshift({ role: 'system', content: settings.system });
  const body: Message = { model, messages, stream: true, stream_options: { include_usage: true } };
  for (const [name, value] of Object.entries(settings.sampling))
    if (value !== undefined && !(Array.isArray(value) && value.length === 0)) body[name] = value;
  if (settings.logprobs) Object.assign(body, { logprobs: true, top_logprobs: 5 });
  if (settings.toolsOn && tools.length) Object.assign(body, { tools: toolsOf(tools), tool_choice: toolChoiceOf(settings.toolChoice) });
  if (settings.schemaOn && settings.schema.trim())
    body.response_format = { type: 'json_schema', json_schema: { name: 'answer', strict: true, schema: JSON.parse(settings.schema) } };
  if (settings.thinking !== 'default') body.chat_template_kwargs = { enable_thinking: settings.thinking === 'on' };
  if (settings.extra.trim()) Object.assign(body, JSON.parse(settings.extra));
  return body;
}
