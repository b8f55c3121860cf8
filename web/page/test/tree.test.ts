import { expect, test } from 'vitest';
import { childrenOf, chosenFor, pathTo, shownPath, subtree } from '../src/state/tree';
import type { ChatNode } from '../src/types';

const node = (id: string, parent: string | null, created: number): ChatNode => ({ id, parent, created, conversation: 'c', role: 'user', content: id });
// a - b - d
//   \ c - e
const nodes = new Map([node('a', null, 1), node('c', 'a', 3), node('b', 'a', 2), node('d', 'b', 4), node('e', 'c', 5)].map((each) => [each.id, each]));
const children = childrenOf(nodes);
const ids = (path: ChatNode[]) => path.map((each) => each.id).join('');

test('siblings are in the order of their making', () => {
  expect(children.get('a')).toEqual(['b', 'c']);
});

test('the path follows the choices, else the newest', () => {
  expect(ids(shownPath(nodes, children, {}))).toBe('ace');
  expect(ids(shownPath(nodes, children, { a: 'b' }))).toBe('abd');
  expect(ids(shownPath(nodes, children, { a: 'gone' }))).toBe('ace');
  expect(ids(shownPath(new Map(), childrenOf(new Map()), {}))).toBe('');
});

test('a message can be shown again', () => {
  expect(ids(shownPath(nodes, children, chosenFor(nodes, 'd', { a: 'c' })))).toBe('abd');
});

test('what comes before and what follows', () => {
  expect(ids(pathTo(nodes, 'e'))).toBe('ace');
  expect(pathTo(nodes, null)).toEqual([]);
  expect(subtree(children, 'b')).toEqual(['b', 'd']);
  expect(subtree(children, 'a').sort()).toEqual(['a', 'b', 'c', 'd', 'e']);
});
