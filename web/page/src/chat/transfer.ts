import { newId } from '../state/ids';
import { defaultSettings } from '../state/preferences';
import type { ChatNode, Conversation, Role, Sampling } from '../types';

export interface Bundle {
  conversation: Conversation;
  nodes: ChatNode[];
}

const format = 'lmdeploy-chat';

export function toJson(bundles: Bundle[]): string {
  return JSON.stringify({ format, version: 1, conversations: bundles.map(({ conversation, nodes }) => ({ ...conversation, nodes })) }, null, 1);
}

const headings: Record<string, string> = { system: 'System', user: 'User', assistant: 'Assistant', tool: 'Tool' };

// The messages that are shown. The comments are for the way back; readers do not show them.
export function toMarkdown(conversation: Conversation, path: ChatNode[]): string {
  const parts = [`# ${conversation.title}`];
  const add = (role: string, text: string) => parts.push(`<!-- lmdeploy:${role} -->\n## ${headings[role]}\n\n${text.trim()}`);
  if (conversation.settings.system.trim()) add('system', conversation.settings.system);
  for (const node of path) {
    const calls = (node.toolCalls ?? []).map((call) => `\`${call.name}(${call.arguments})\``);
    const files = (node.files ?? []).map((file) => `**${file.name}**\n\n${file.text}`);
    add(node.role, [...files, node.content, ...calls].filter(Boolean).join('\n\n'));
  }
  return `${parts.join('\n\n')}\n`;
}

class Unreadable extends Error {}

function expect(condition: unknown, problem: string): asserts condition {
  if (!condition) throw new Unreadable(problem);
}

const isRole = (value: unknown): value is Role => value === 'user' || value === 'assistant' || value === 'tool';
const textOr = (value: unknown, fallback: string) => (typeof value === 'string' ? value : fallback);
const numberOr = (value: unknown, fallback: number) => (typeof value === 'number' && Number.isFinite(value) ? value : fallback);

type Raw = Record<string, unknown>;

// Only fields that are known and of the right type come in; ids are made anew, so nothing is overwritten.
function nodeFrom(raw: Raw, conversation: string, ids: Map<string, string>, created: number): ChatNode {
  expect(isRole(raw.role) && typeof raw.content === 'string', 'a message has no role or no content');
  expect(raw.parent === null || ids.has(textOr(raw.parent, '')), 'a message follows one that is missing');
  const id = newId();
  ids.set(textOr(raw.id, id), id);
  const node: ChatNode = { id, conversation, parent: raw.parent === null ? null : ids.get(textOr(raw.parent, ''))!, created: numberOr(raw.created, created), role: raw.role, content: raw.content };
  for (const name of ['reasoning', 'toolCallId', 'toolName', 'model', 'finish', 'error'] as const)
    if (typeof raw[name] === 'string') node[name] = raw[name] as string;
  if (node.role === 'assistant') node.finish ??= 'stop';
  if (Array.isArray(raw.toolCalls))
    node.toolCalls = (raw.toolCalls as Raw[]).map((call) => ({ id: textOr(call?.id, ''), name: textOr(call?.name, ''), arguments: textOr(call?.arguments, '') }));
  if (Array.isArray(raw.files))
    node.files = (raw.files as Raw[]).map((file) => ({ name: textOr(file?.name, ''), text: textOr(file?.text, '') }));
  return node;
}

function samplingFrom(raw: Raw): Sampling {
  const known = Object.entries(raw).filter(([name, value]) =>
    name === 'stop' ? Array.isArray(value) && value.every((each) => typeof each === 'string') : typeof value === 'number' || typeof value === 'boolean');
  return Object.fromEntries(known);
}

function conversationFrom(raw: Raw): Bundle {
  const nodes = raw.nodes;
  expect(Array.isArray(nodes), 'a conversation has no list of messages');
  const now = Date.now();
  const settings = { ...defaultSettings, system: textOr((raw.settings as Raw | undefined)?.system, '') };
  settings.sampling = samplingFrom(((raw.settings as Raw | undefined)?.sampling ?? {}) as Raw);
  const conversation: Conversation = { id: newId(), title: textOr(raw.title, ''), created: numberOr(raw.created, now), updated: numberOr(raw.updated, now), settings, chosen: {} };
  const ids = new Map<string, string>();
  const parentsFirst = parentsBeforeChildren(nodes as Raw[]);
  const read = parentsFirst.map((node, i) => nodeFrom(node, conversation.id, ids, now + i));
  for (const [parent, child] of Object.entries((raw.chosen ?? {}) as Raw))
    if (ids.has(String(child)) && (parent === '' || ids.has(parent))) conversation.chosen[ids.get(parent) ?? ''] = ids.get(String(child))!;
  return { conversation, nodes: read };
}

function parentsBeforeChildren(nodes: Raw[]): Raw[] {
  const children = new Map<unknown, Raw[]>();
  for (const node of nodes) {
    expect(node && typeof node === 'object', 'a message is no object');
    const parent = node.parent ?? null;
    children.set(parent, [...(children.get(parent) ?? []), { ...node, parent }]);
  }
  const order = [...(children.get(null) ?? [])];
  for (let i = 0; i < order.length; ++i) order.push(...(children.get(order[i].id) ?? []));
  expect(order.length === nodes.length, 'messages follow others that are missing');
  return order;
}

function fromMarkdown(text: string): Bundle {
  const now = Date.now();
  const title = /^# (.*)$/m.exec(text)?.[1] ?? '';
  const parts = text.split(/^<!-- lmdeploy:(system|user|assistant|tool) -->\n## .*$/m);
  expect(parts.length > 1, 'expected a conversation that this page has exported');
  const conversation: Conversation = { id: newId(), title, created: now, updated: now, settings: { ...defaultSettings }, chosen: {} };
  const nodes: ChatNode[] = [];
  for (let i = 1; i < parts.length; i += 2) {
    const content = parts[i + 1].trim();
    if (parts[i] === 'system') conversation.settings.system = content;
    else nodes.push({ id: newId(), conversation: conversation.id, parent: nodes.length ? nodes[nodes.length - 1].id : null, created: now + i, role: parts[i] as Role, content, finish: parts[i] === 'assistant' ? 'stop' : undefined });
  }
  return { conversation, nodes };
}

// Throws an Error that says what is wrong with the text.
export function fromText(text: string): Bundle[] {
  if (!text.trimStart().startsWith('{')) return [fromMarkdown(text)];
  const raw = JSON.parse(text) as Raw;
  expect(raw.format === format && Array.isArray(raw.conversations), `expected "format": "${format}" and a list of conversations`);
  return (raw.conversations as Raw[]).map((each) => conversationFrom(each ?? {}));
}
