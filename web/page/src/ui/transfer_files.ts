import { fromText, toJson, toMarkdown, type Bundle } from '../chat/transfer';
import { t } from '../i18n';
import { conversations, openConversation, storeConversation } from '../state/conversations';
import { nodesOf } from '../state/database';
import { childrenOf, shownPath } from '../state/tree';
import { download } from '../text/download';
import type { Conversation } from '../types';
import { notify } from './toasts';

const maxImportBytes = 64 << 20;

function fileName(title: string): string {
  return title.replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, '').slice(0, 50) || 'chat';
}

export async function exportConversation(conversation: Conversation, ending: 'json' | 'md'): Promise<void> {
  const found = await nodesOf(conversation.id);
  if (ending === 'json') return download(`${fileName(conversation.title)}.json`, 'application/json', toJson([{ conversation, nodes: found }]));
  const nodes = new Map(found.map((node) => [node.id, node]));
  download(`${fileName(conversation.title)}.md`, 'text/markdown', toMarkdown(conversation, shownPath(nodes, childrenOf(nodes), conversation.chosen)));
}

export async function exportAll(): Promise<void> {
  const bundles: Bundle[] = [];
  for (const conversation of conversations.value) bundles.push({ conversation, nodes: await nodesOf(conversation.id) });
  download('lmdeploy-chats.json', 'application/json', toJson(bundles));
}

export async function importFiles(files: Iterable<File>): Promise<void> {
  let count = 0;
  let last: string | undefined;
  for (const file of files) {
    try {
      if (file.size > maxImportBytes) throw new Error(t('tooBig', { name: file.name, limit: '64 MiB' }));
      for (const { conversation, nodes } of fromText(await file.text())) {
        await storeConversation(conversation, nodes);
        last = conversation.id;
        ++count;
      }
    } catch (error) {
      notify(t('importFailed', { name: file.name, problem: error instanceof Error ? error.message : String(error) }));
    }
  }
  if (!last) return;
  notify(t('imported', { n: count }));
  await openConversation(last);
}
