import { openDB, type DBSchema, type IDBPDatabase } from 'idb';
import type { ChatNode, Conversation } from '../types';

interface Schema extends DBSchema {
  conversations: { key: string; value: Conversation };
  nodes: { key: string; value: ChatNode; indexes: { conversation: string } };
}

let opened: Promise<IDBPDatabase<Schema>> | undefined;

function database(): Promise<IDBPDatabase<Schema>> {
  opened ??= openDB<Schema>('lmdeploy-chat', 1, {
    upgrade(db) {
      db.createObjectStore('conversations', { keyPath: 'id' });
      db.createObjectStore('nodes', { keyPath: 'id' }).createIndex('conversation', 'conversation');
    },
    terminated() {
      opened = undefined;
    },
  });
  return opened;
}

export async function allConversations(): Promise<Conversation[]> {
  return (await database()).getAll('conversations');
}

export async function nodesOf(conversation: string): Promise<ChatNode[]> {
  return (await database()).getAllFromIndex('nodes', 'conversation', conversation);
}

export async function putConversation(conversation: Conversation): Promise<void> {
  await (await database()).put('conversations', conversation);
}

export async function putNodes(nodes: Iterable<ChatNode>): Promise<void> {
  const transaction = (await database()).transaction('nodes', 'readwrite');
  for (const node of nodes) void transaction.store.put(node);
  await transaction.done;
}

export async function deleteNodes(ids: Iterable<string>): Promise<void> {
  const transaction = (await database()).transaction('nodes', 'readwrite');
  for (const id of ids) void transaction.store.delete(id);
  await transaction.done;
}

export async function deleteConversation(id: string): Promise<void> {
  const transaction = (await database()).transaction(['conversations', 'nodes'], 'readwrite');
  void transaction.objectStore('conversations').delete(id);
  const nodes = transaction.objectStore('nodes');
  for (const key of await nodes.index('conversation').getAllKeys(id)) void nodes.delete(key);
  await transaction.done;
}

// The conversations with a message that contains `text`, in any case.
export async function conversationsWith(text: string): Promise<Set<string>> {
  const found = new Set<string>();
  const wanted = text.toLowerCase();
  let cursor = await (await database()).transaction('nodes').store.openCursor();
  for (; cursor; cursor = await cursor.continue())
    if (cursor.value.content.toLowerCase().includes(wanted)) found.add(cursor.value.conversation);
  return found;
}
