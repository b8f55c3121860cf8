import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { answerAfter, runs, stop } from '../chat/answer';
import { t } from '../i18n';
import { addNode, changeSettings, current, makeNode, path } from '../state/conversations';
import type { TextFile } from '../types';
import { droppedFiles, readTextFiles } from './attachments';
import { Icon, IconButton } from './icons';

const drafts = new Map<string, string>(); // by conversation: what was written and not sent
export const composerId = 'composer';

function useDraft() {
  const text = useSignal('');
  const conversation = current.value.id;
  useEffect(() => {
    text.value = drafts.get(conversation) ?? '';
  }, [conversation]);
  const write = (value: string) => {
    text.value = value;
    drafts.set(conversation, value);
  };
  return { text, write };
}

function Toggle(props: { on: boolean; icon: 'tool' | 'spark'; label: string; onClick: () => void }) {
  if (!props.on) return null;
  return (
    <button type="button" class="chip" title={t('off')} onClick={props.onClick}>
      <Icon name={props.icon} />{props.label}<Icon name="close" />
    </button>
  );
}

export function sendText(content: string, files: TextFile[] = []): void {
  const last = path.value[path.value.length - 1];
  const node = makeNode({ parent: last?.id ?? null, role: 'user', content, files: files.length ? files : undefined });
  addNode(node);
  void answerAfter(node);
}

export function Composer() {
  const { text, write } = useDraft();
  const files = useSignal<TextFile[]>([]);
  const area = useRef<HTMLTextAreaElement>(null);
  const input = useRef<HTMLInputElement>(null);
  const { settings, id } = current.value;
  const busy = runs.value.has(id);
  const empty = !text.value.trim() && !files.value.length;

  useEffect(() => {
    const element = area.current!;
    element.style.height = 'auto';
    element.style.height = `${Math.min(element.scrollHeight, 260)}px`;
  }, [text.value]);
  useEffect(() => {
    if (matchMedia('(hover: hover)').matches) area.current!.focus();
  }, [id]);
  useEffect(() => {
    if (!droppedFiles.value.length) return;
    files.value = [...files.value, ...droppedFiles.value];
    droppedFiles.value = [];
    area.current!.focus();
  }, [droppedFiles.value]);

  const send = () => {
    if (busy || empty) return;
    sendText(text.value.trim(), files.value);
    write('');
    files.value = [];
  };
  const onKeyDown = (event: KeyboardEvent) => {
    // Enter may end a word of an input method.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    send();
  };
  return (
    <form class="composer" onSubmit={(event) => (event.preventDefault(), send())}>
      {files.value.length > 0 && (
        <ul class="files">
          {files.value.map((file, i) => (
            <li key={i}>
              <Icon name="attach" /><span>{file.name}</span>
              <IconButton icon="close" label={t('removeFile', { name: file.name })} onClick={() => (files.value = files.value.filter((_, j) => j !== i))} />
            </li>
          ))}
        </ul>
      )}
      <textarea id={composerId} ref={area} rows={1} aria-label={t('message')} placeholder={t('placeholder')} value={text.value} enterkeyhint="send"
        onInput={(event) => write(event.currentTarget.value)} onKeyDown={onKeyDown}
        onPaste={(event) => {
          const pasted = [...(event.clipboardData?.files ?? [])];
          if (pasted.length) (event.preventDefault(), void readTextFiles(pasted));
        }} />
      <div class="composer-row">
        <IconButton icon="attach" label={t('attach')} onClick={() => input.current!.click()} />
        <input ref={input} type="file" multiple hidden aria-label={t('attach')}
          onChange={(event) => {
            const chosen = [...(event.currentTarget.files ?? [])];
            event.currentTarget.value = '';
            void readTextFiles(chosen);
          }} />
        <Toggle on={settings.toolsOn} icon="tool" label={t('tools')} onClick={() => changeSettings({ toolsOn: false })} />
        <Toggle on={settings.schemaOn} icon="spark" label={t('schema')} onClick={() => changeSettings({ schemaOn: false })} />
        <span class="spring" />
        {busy ? (
          <button type="button" class="send" aria-label={t('stop')} title={t('stop')} onClick={() => stop(id)}><Icon name="stop" /></button>
        ) : (
          <button type="submit" class="send" aria-label={t('send')} title={t('send')} disabled={empty}><Icon name="send" /></button>
        )}
      </div>
    </form>
  );
}
