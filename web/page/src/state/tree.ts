import type { ChatNode } from '../types';

export type Nodes = ReadonlyMap<string, ChatNode>;
export type Children = ReadonlyMap<string, readonly string[]>; // '' stands for the root

export function childrenOf(nodes: Nodes): Children {
  const children = new Map<string, string[]>();
  for (const node of nodes.values()) {
    const siblings = children.get(node.parent ?? '');
    if (siblings) siblings.push(node.id);
    else children.set(node.parent ?? '', [node.id]);
  }
  for (const ids of children.values())
    ids.sort((a, b) => nodes.get(a)!.created - nodes.get(b)!.created || (a < b ? -1 : 1));
  return children;
}

// From the root to a leaf, by the chosen child of each message; the newest where none is chosen.
export function shownPath(nodes: Nodes, children: Children, chosen: Record<string, string>): ChatNode[] {
  const path: ChatNode[] = [];
  for (let at = ''; ; ) {
    const ids = children.get(at);
    if (!ids?.length) return path;
    at = ids.includes(chosen[at]) ? chosen[at] : ids[ids.length - 1];
    path.push(nodes.get(at)!);
  }
}

export function pathTo(nodes: Nodes, id: string | null): ChatNode[] {
  const path: ChatNode[] = [];
  for (let node = id === null ? undefined : nodes.get(id); node; node = node.parent ? nodes.get(node.parent) : undefined)
    path.push(node);
  return path.reverse();
}

// A message and all that follow it.
export function subtree(children: Children, id: string): string[] {
  const ids = [id];
  for (let i = 0; i < ids.length; ++i) ids.push(...(children.get(ids[i]) ?? []));
  return ids;
}

// The choices that show `id`, beside those made before.
export function chosenFor(nodes: Nodes, id: string, chosen: Record<string, string>): Record<string, string> {
  const result = { ...chosen };
  for (const node of pathTo(nodes, id)) result[node.parent ?? ''] = node.id;
  return result;
}
