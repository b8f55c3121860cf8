import type { Signal } from '@preact/signals';
import { answerAfter, continueAnswer, runs } from '../chat/answer';
import { number, t } from '../i18n';
import { branchAway, children, current, deleteFrom, nodes, showNode } from '../state/conversations';
import { pathTo } from '../state/tree';
import { copyText } from '../text/copy';
import type { ChatNode } from '../types';
import { IconButton } from './icons';
import { notify } from './toasts';

function Branches({ node }: { node: ChatNode }) {
  const siblings = children.value.get(node.parent ?? '') ?? [];
  if (siblings.length < 2) return null;
  const at = siblings.indexOf(node.id);
  return (
    <span class="branches">
      <IconButton icon="left" label={t('previousBranch')} disabled={at === 0} onClick={() => showNode(siblings[at - 1])} />
      <span>{at + 1}/{siblings.length}</span>
      <IconButton icon="right" label={t('nextBranch')} disabled={at === siblings.length - 1} onClick={() => showNode(siblings[at + 1])} />
    </span>
  );
}

function Stats({ node }: { node: ChatNode }) {
  const { stats } = node;
  if (!stats) return null;
  const parts = [
    stats.tokensPerSecond && t('perSecond', { n: number(stats.tokensPerSecond, 1) }),
    stats.firstTokenMs && t('firstToken', { n: number(stats.firstTokenMs / 1000, 2) }),
    stats.completionTokens && t('numTokens', { n: number(stats.completionTokens) }),
    stats.cachedTokens && t('cachedTokens', { n: number(stats.cachedTokens) }),
  ].filter(Boolean);
  return <span class="stats">{parts.join(' · ')}</span>;
}

async function copy(node: ChatNode) {
  notify(t((await copyText(node.content)) ? 'copied' : 'copyFailed'));
}

function remove(node: ChatNode) {
  const undo = deleteFrom(node.id);
  notify(t('deleted'), { label: t('undo'), run: undo });
}

export function MessageActions({ node, tokensShown, onEdit }: { node: ChatNode; tokensShown: Signal<boolean>; onEdit: () => void }) {
  const busy = runs.value.has(current.value.id);
  const parent = node.parent ? nodes.value.get(node.parent) : undefined;
  const isAnswer = node.role === 'assistant';
  const isLast = !children.value.get(node.id)?.length;
  return (
    <div class="actions">
      <Branches node={node} />
      <span class="buttons">
        <IconButton icon="copy" label={t('copy')} onClick={() => void copy(node)} />
        <IconButton icon="edit" label={t('edit')} disabled={busy} onClick={onEdit} />
        {isAnswer && parent && <IconButton icon="redo" label={t('regenerate')} disabled={busy} onClick={() => void answerAfter(parent)} />}
        {isAnswer && isLast && !node.toolCalls?.length && <IconButton icon="forward" label={t('continue')} disabled={busy} onClick={() => void continueAnswer(node)} />}
        {!isAnswer && isLast && <IconButton icon="redo" label={t('regenerate')} disabled={busy} onClick={() => void answerAfter(node)} />}
        {node.tokens && <IconButton icon="spark" label={t(tokensShown.value ? 'textView' : 'tokensView')} pressed={tokensShown.value} onClick={() => (tokensShown.value = !tokensShown.value)} />}
        <IconButton icon="branch" label={t('branch')} onClick={() => void branchAway(pathTo(nodes.value, node.id))} />
        <IconButton icon="trash" label={t('delete')} disabled={busy} onClick={() => remove(node)} />
      </span>
      <Stats node={node} />
    </div>
  );
}
