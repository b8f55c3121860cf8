import { useSignal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { runs } from '../chat/answer';
import { t } from '../i18n';
import { changeConversation, conversations, current, deleteConversation, newConversation, openConversation } from '../state/conversations';
import { conversationsWith } from '../state/database';
import { sidebarOpen } from '../state/preferences';
import type { Conversation } from '../types';
import { Icon, IconButton } from './icons';
import { drawerOpen, narrow } from './panels';
import { SidebarFooter } from './sidebar_footer';
import { notify } from './toasts';
import { exportConversation } from './transfer_files';

// The conversations whose title or messages hold the words, undefined: all.
function useFound(words: string): Set<string> | undefined {
  const [found, setFound] = useState<Set<string> | undefined>(undefined);
  useEffect(() => {
    if (!words.trim()) return setFound(undefined);
    let stale = false;
    const timer = setTimeout(async () => {
      const inMessages = await conversationsWith(words.trim());
      if (!stale) setFound(inMessages);
    }, 150);
    return () => ((stale = true), clearTimeout(timer));
  }, [words]);
  return found;
}

async function remove(conversation: Conversation) {
  const undo = await deleteConversation(conversation.id);
  notify(t('deleted'), { label: t('undo'), run: () => void undo() });
}

function Entry({ conversation }: { conversation: Conversation }) {
  const renaming = useSignal(false);
  const menu = useRef<HTMLDetailsElement>(null);
  const title = conversation.title || t('untitled');
  const shown = conversation.id === current.value.id;
  const act = (run: () => void) => () => {
    menu.current!.open = false;
    run();
  };
  if (renaming.value)
    return (
      <li>
        <input
          class="rename"
          aria-label={t('rename')}
          value={conversation.title}
          autofocus
          ref={(input) => input?.select()}
          onBlur={(event) => {
            renaming.value = false;
            changeConversation(conversation.id, { title: event.currentTarget.value.trim() || conversation.title });
          }}
          onKeyDown={(event) => {
            if (event.key === 'Escape') renaming.value = false;
            if (event.key === 'Enter' && !event.isComposing) event.currentTarget.blur();
          }}
        />
      </li>
    );
  return (
    <li class={shown ? 'shown' : ''}>
      <button type="button" class="entry" aria-current={shown ? 'true' : undefined} title={title}
        onClick={() => ((drawerOpen.value = false), void openConversation(conversation.id))}>
        {runs.value.has(conversation.id) && <span class="dot busy" aria-hidden="true" />}
        <span class="entry-title">{title}</span>
      </button>
      <details class="menu" ref={menu} onBlurCapture={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) event.currentTarget.open = false;
      }}>
        <summary aria-label={`${t('more')}: ${title}`} title={t('more')}><Icon name="more" /></summary>
        <div class="menu-items">
          <button type="button" onClick={act(() => (renaming.value = true))}><Icon name="edit" />{t('rename')}</button>
          <button type="button" onClick={act(() => void exportConversation(conversation, 'json'))}><Icon name="download" />{t('exportJson')}</button>
          <button type="button" onClick={act(() => void exportConversation(conversation, 'md'))}><Icon name="download" />{t('exportMarkdown')}</button>
          <button type="button" onClick={act(() => void remove(conversation))}><Icon name="trash" />{t('delete')}</button>
        </div>
      </details>
    </li>
  );
}

export function Sidebar() {
  const words = useSignal('');
  const found = useFound(words.value);
  const wanted = words.value.trim().toLowerCase();
  const shown = conversations.value.filter((each) => !wanted || each.title.toLowerCase().includes(wanted) || found?.has(each.id));
  const close = () => (narrow.value ? (drawerOpen.value = false) : (sidebarOpen.value = false));
  return (
    <nav class="sidebar" aria-label={t('conversations')}>
      <div class="sidebar-head">
        <span class="brand"><span class="brand-mark" aria-hidden="true" />lmdeploy</span>
        <IconButton icon={narrow.value ? 'close' : 'left'} label={t('closeSidebar')} onClick={close} />
      </div>
      <button type="button" class="new-chat" onClick={() => (newConversation(), (drawerOpen.value = false))}>
        <Icon name="plus" />{t('newChat')}
      </button>
      <label class="search">
        <Icon name="search" />
        <input id="search" type="search" placeholder={t('search')} aria-label={t('search')} value={words.value}
          onInput={(event) => (words.value = event.currentTarget.value)} />
      </label>
      <ul class="conversations">
        {shown.map((each) => <Entry key={each.id} conversation={each} />)}
      </ul>
      {shown.length === 0 && wanted && <p class="nothing">{t('noMatch')}</p>}
      <SidebarFooter />
    </nav>
  );
}
