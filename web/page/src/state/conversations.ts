import { batch, computed, signal } from '@preact/signals';
import type { ChatNode, Conversation, Settings } from '../types';
import * as database from './database';
import { newId } from './ids';
import { defaultSettings, lastSettings } from './preferences';
import { childrenOf, chosenFor, shownPath, subtree, type Nodes } from './tree';

export const conversations = signal<Conversation[]>([]); // the last used first
export const current = signal<Conversation>(freshConversation());
export const nodes = signal<Nodes>(new Map());
export const children = computed(() => childrenOf(nodes.value));
export const path = computed(() => shownPath(nodes.value, children.value, current.value.chosen));
export const opening = signal(true);

function freshConversation(): Conversation {
  const now = Date.now();
  const settings = { ...defaultSettings, ...lastSettings.peek(), sampling: { ...lastSettings.peek().sampling } };
  return { id: newId(), title: '', created: now, updated: now, settings, chosen: {} };
}

const byUse = (a: Conversation, b: Conversation) => b.updated - a.updated;

// Shows the last conversation of the address, or a new one.
export async function loadConversations(): Promise<void> {
  try {
    conversations.value = (await database.allConversations()).sort(byUse);
    const wanted = location.hash.slice(1);
    if (conversations.value.some((each) => each.id === wanted)) await openConversation(wanted);
  } finally {
    opening.value = false;
  }
}

export async function openConversation(id: string): Promise<void> {
  const conversation = conversations.value.find((each) => each.id === id);
  if (!conversation || conversation.id === current.value.id) return;
  const found = await database.nodesOf(id);
  batch(() => {
    current.value = { ...conversation, settings: { ...defaultSettings, ...conversation.settings } };
    nodes.value = new Map(found.map((node) => [node.id, node]));
  });
  history.replaceState(null, '', `#${id}`);
}

export function newConversation(): void {
  batch(() => {
    current.value = freshConversation();
    nodes.value = new Map();
  });
  history.replaceState(null, '', location.pathname + location.search);
}

// Changes a conversation, stored or not, shown or not.
export function changeConversation(id: string, change: Partial<Conversation>): void {
  if (current.value.id === id) current.value = { ...current.value, ...change };
  const stored = conversations.value.find((each) => each.id === id);
  if (!stored) return;
  const changed = { ...stored, ...change };
  conversations.value = conversations.value.map((each) => (each.id === id ? changed : each)).sort(byUse);
  void database.putConversation(changed);
}

export function changeSettings(change: Partial<Settings>): void {
  const settings = { ...current.value.settings, ...change };
  lastSettings.value = settings;
  changeConversation(current.value.id, { settings });
}

// A conversation is stored with its first message.
function ensureStored(): void {
  const conversation = current.value;
  if (conversations.value.some((each) => each.id === conversation.id)) return;
  conversations.value = [conversation, ...conversations.value];
  void database.putConversation(conversation);
  history.replaceState(null, '', `#${conversation.id}`);
}

export function makeNode(fields: Pick<ChatNode, 'parent' | 'role' | 'content'> & Partial<ChatNode>): ChatNode {
  return { id: newId(), conversation: current.value.id, created: Date.now(), ...fields };
}

export function saveNode(node: ChatNode): void {
  if (node.conversation === current.value.id) {
    ensureStored();
    nodes.value = new Map(nodes.value).set(node.id, node);
  }
  void database.putNodes([node]);
}

// Saves a new message and shows it.
export function addNode(node: ChatNode): void {
  batch(() => {
    saveNode(node);
    const conversation = conversations.value.find((each) => each.id === node.conversation);
    const chosen = { ...conversation?.chosen, [node.parent ?? '']: node.id };
    const title = conversation?.title || titleFrom(node);
    changeConversation(node.conversation, { chosen, title, updated: Date.now() });
  });
}

function titleFrom(node: ChatNode): string {
  const text = node.content.trim() || node.files?.[0]?.name || '';
  const line = text.split('\n', 1)[0];
  return line.length > 60 ? `${line.slice(0, 57)}...` : line;
}

export function showNode(id: string): void {
  changeConversation(current.value.id, { chosen: chosenFor(nodes.value, id, current.value.chosen) });
}

// Deletes a message and what follows it; returns what brings them back.
export function deleteFrom(id: string): () => void {
  const conversation = current.value.id;
  const gone = subtree(children.value, id).map((each) => nodes.value.get(each)!);
  const left = new Map(nodes.value);
  for (const node of gone) left.delete(node.id);
  nodes.value = left;
  void database.deleteNodes(gone.map((node) => node.id));
  return () => {
    void database.putNodes(gone);
    if (current.value.id !== conversation) return;
    const again = new Map(nodes.value);
    for (const node of gone) again.set(node.id, node);
    nodes.value = again;
    showNode(id);
  };
}

export async function deleteConversation(id: string): Promise<() => Promise<void>> {
  const conversation = conversations.value.find((each) => each.id === id)!;
  const gone = await database.nodesOf(id);
  if (current.value.id === id) newConversation();
  conversations.value = conversations.value.filter((each) => each.id !== id);
  await database.deleteConversation(id);
  return () => storeConversation(conversation, gone);
}

export async function storeConversation(conversation: Conversation, itsNodes: ChatNode[]): Promise<void> {
  await database.putNodes(itsNodes);
  await database.putConversation(conversation);
  conversations.value = [conversation, ...conversations.value.filter((each) => each.id !== conversation.id)].sort(byUse);
}

// A conversation of its own with the messages up to this one.
export async function branchAway(messages: ChatNode[]): Promise<void> {
  const conversation = { ...freshConversation(), title: current.value.title, settings: current.value.settings };
  const copies: ChatNode[] = [];
  for (const node of messages)
    copies.push({ ...node, id: newId(), conversation: conversation.id, parent: copies.length ? copies[copies.length - 1].id : null });
  await storeConversation(conversation, copies);
  await openConversation(conversation.id);
}
