import { memo } from 'preact/compat';
import { useSignal } from '@preact/signals';
import type { Run } from '../chat/completion';
import { t } from '../i18n';
import { children } from '../state/conversations';
import type { ChatNode } from '../types';
import { AnswerBody } from './answer_body';
import { MessageActions } from './message_actions';
import { MessageEditor } from './message_editor';
import { ToolResult } from './tool_card';
import { UserBody } from './user_body';

const names = { user: 'you', assistant: 'assistant', tool: 'tool' } as const;

// A call that was answered and its result are steps of the answer that follows, which has the buttons.
function isStep(node: ChatNode): boolean {
  if (node.role === 'tool') return true;
  const alone = children.value.get(node.parent ?? '')?.length === 1;
  return alone && node.toolCalls !== undefined && children.value.get(node.id)?.length === 1;
}

// `run`: the answer that is being made is this message.
export const Message = memo(({ node: stored, run }: { node: ChatNode; run?: Run }) => {
  const node = run ? run.node.value : stored;
  const editing = useSignal(false);
  const tokensShown = useSignal(false);
  return (
    <article class={`message ${node.role}`} data-node={node.id} aria-label={t(names[node.role])}>
      {editing.value ? (
        <MessageEditor node={node} onClose={() => (editing.value = false)} />
      ) : node.role === 'user' ? (
        <UserBody node={node} />
      ) : node.role === 'tool' ? (
        <ToolResult node={node} />
      ) : (
        <AnswerBody node={node} run={run} tokensShown={tokensShown.value} />
      )}
      {!editing.value && !isStep(node) && !run && (
        <MessageActions node={node} tokensShown={tokensShown} onEdit={() => (editing.value = true)} />
      )}
    </article>
  );
});
