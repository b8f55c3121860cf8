import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { answerAfter } from '../chat/answer';
import { t } from '../i18n';
import { addNode, makeNode } from '../state/conversations';
import type { ChatNode } from '../types';

// What is written here becomes a branch beside the message; after a question the model answers it.
export function MessageEditor({ node, onClose }: { node: ChatNode; onClose: () => void }) {
  const text = useSignal(node.content);
  const area = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    area.current!.focus();
    area.current!.style.height = `${Math.min(area.current!.scrollHeight + 4, 480)}px`;
  }, []);
  const save = () => {
    onClose();
    if (node.role === 'user') {
      const edited = makeNode({ parent: node.parent, role: 'user', content: text.value, files: node.files });
      addNode(edited);
      void answerAfter(edited);
    } else if (text.value !== node.content) {
      addNode(makeNode({ parent: node.parent, role: node.role, content: text.value, reasoning: node.reasoning, finish: node.finish, model: node.model }));
    }
  };
  return (
    <div class="editor">
      <textarea ref={area} aria-label={t('edit')} value={text.value} onInput={(event) => (text.value = event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') onClose();
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) save();
        }} />
      <div class="editor-actions">
        <button type="button" onClick={onClose}>{t('cancel')}</button>
        <button type="button" class="primary" disabled={!text.value.trim() && !node.files?.length} onClick={save}>{t(node.role === 'user' ? 'saveAndSend' : 'save')}</button>
      </div>
    </div>
  );
}
