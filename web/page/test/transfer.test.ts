import { beforeAll, expect, test } from 'vitest';
import type { Bundle } from '../src/chat/transfer';
import type { ChatNode, Conversation } from '../src/types';
import { stubBrowser } from './browser';

beforeAll(stubBrowser);
const transfer = () => import('../src/chat/transfer');

const node = (id: string, parent: string | null, role: ChatNode['role'], content: string, more: Partial<ChatNode> = {}): ChatNode => ({ id, parent, created: 1, conversation: 'c', role, content, ...more });
const settings = { system: 'Be brief.', sampling: { top_p: 0.5 } } as Conversation['settings'];
const conversation: Conversation = { id: 'c', title: 'T', created: 1, updated: 2, settings, chosen: { '': 'q', q: 'b' } };
const nodes = [
  node('a', 'q', 'assistant', 'A', { reasoning: 'R', toolCalls: [{ id: 'x', name: 'add', arguments: '{}' }] }),
  node('q', null, 'user', 'Q', { files: [{ name: 'f', text: 't' }] }),
  node('b', 'q', 'assistant', 'B\n\n## Not a message'),
];
const bundle: Bundle = { conversation, nodes };

test('JSON comes back with new ids and the same tree', async () => {
  const { fromText, toJson } = await transfer();
  const [read] = fromText(toJson([bundle]));
  const byContent = (content: string) => read.nodes.find((each) => each.content === content)!;
  expect(read.conversation).toMatchObject({ title: 'T', settings: { system: 'Be brief.', sampling: { top_p: 0.5 } } });
  expect(byContent('A')).toMatchObject({ parent: byContent('Q').id, reasoning: 'R', toolCalls: [{ name: 'add' }] });
  expect(read.conversation.chosen[byContent('Q').id]).toBe(byContent(nodes[2].content).id);
  expect(read.nodes.map((each) => each.id)).not.toContain('a');
});

test('Markdown comes back as the path that was shown', async () => {
  const { fromText, toMarkdown } = await transfer();
  const [read] = fromText(toMarkdown(conversation, [nodes[1], nodes[2]]));
  expect(read.conversation).toMatchObject({ title: 'T', settings: { system: 'Be brief.' } });
  expect(read.nodes.map(({ role, content }) => [role, content])).toEqual([['user', '**f**\n\nt\n\nQ'], ['assistant', 'B\n\n## Not a message']]);
});

test('what does not fit is refused', async () => {
  const { fromText } = await transfer();
  const wrap = (conversations: unknown) => JSON.stringify({ format: 'lmdeploy-chat', conversations });
  for (const text of ['', '{', '[]', '{}', wrap(3), wrap([null]), wrap([{}]), wrap([{ nodes: [3] }]), wrap([{ nodes: [{ id: 'a', parent: null, role: 'root', content: '' }] }]),
    wrap([{ nodes: [{ id: 'a', parent: 'b', role: 'user', content: '' }, { id: 'b', parent: 'a', role: 'user', content: '' }] }])])
    expect(() => fromText(text), text).toThrow();
});

test('only known fields of the right type come in', async () => {
  const { fromText } = await transfer();
  const raw = { format: 'lmdeploy-chat', conversations: [{ title: 7, nodes: [{ id: 1, role: 'user', content: 'x', html: '<b>', toolCalls: [null], files: [3], error: {} }] }] };
  const [read] = fromText(JSON.stringify(raw));
  expect(read.conversation.title).toBe('');
  expect(read.nodes[0]).toEqual(expect.objectContaining({ content: 'x', toolCalls: [{ id: '', name: '', arguments: '' }], files: [{ name: '', text: '' }] }));
  expect(Object.keys(read.nodes[0])).not.toContain('html');
});
