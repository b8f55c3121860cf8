import { useSignalEffect } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { serverState } from '../api/server';
import { runs, stop } from '../chat/answer';
import { t } from '../i18n';
import { current, newConversation, opening, path } from '../state/conversations';
import { sidebarOpen } from '../state/preferences';
import { DropZone } from './attachments';
import { Composer, composerId } from './composer';
import { findOpen, FindInChat } from './find_in_chat';
import { Header } from './header';
import { KeyDialog } from './key_dialog';
import { Messages } from './messages';
import { drawerOpen, narrow, settingsOpen } from './panels';
import { SettingsPanel } from './settings_panel';
import { Sidebar } from './sidebar';
import { Toasts } from './toasts';
import { Welcome } from './welcome';

const bannerText = { loading: 'waitLoading', unhealthy: 'waitUnhealthy', draining: 'waitDraining', gone: 'waitGone' } as const;

// Says what is wrong with the server, as long as no message waits for it and says so itself.
function Banner() {
  const state = serverState.value;
  if (state === 'ok' || state === 'connecting') return null;
  return <p class={`banner ${state}`} role="status">{t(bannerText[state])}</p>;
}

function onKeyDown(event: KeyboardEvent): void {
  const control = event.ctrlKey || event.metaKey;
  if (event.key === 'Escape' && !document.querySelector('dialog[open]')) {
    if (drawerOpen.value) drawerOpen.value = false;
    else if (runs.value.has(current.value.id)) stop(current.value.id);
  } else if (control && event.shiftKey && event.key.toLowerCase() === 'o') {
    event.preventDefault();
    newConversation();
  } else if (control && event.key.toLowerCase() === 'k') {
    event.preventDefault();
    if (narrow.value) drawerOpen.value = true;
    else sidebarOpen.value = true;
    setTimeout(() => document.getElementById('search')?.focus());
  } else if (control && event.key.toLowerCase() === 'f' && path.value.length > 40) {
    event.preventDefault();
    findOpen.value = true;
  }
}

// What a screen reader is told: that an answer is complete, not each piece of it.
function Announcer() {
  const running = runs.value.has(current.value.id);
  const last = path.value[path.value.length - 1];
  return <p class="offscreen" role="status" aria-live="polite">{!running && last?.role === 'assistant' && last.finish ? t('answerDone') : ''}</p>;
}

export function App() {
  useEffect(() => {
    addEventListener('keydown', onKeyDown);
    return () => removeEventListener('keydown', onKeyDown);
  }, []);
  useSignalEffect(() => {
    document.title = current.value.title ? `${current.value.title} - lmdeploy` : 'lmdeploy';
  });
  const sidebar = narrow.value ? drawerOpen.value : sidebarOpen.value;
  const empty = !opening.value && path.value.length === 0;
  return (
    <div class={`layout ${sidebar ? 'with-sidebar' : ''} ${settingsOpen.value ? 'with-settings' : ''}`}>
      <a class="skip" href={`#${composerId}`} onClick={(event) => (event.preventDefault(), document.getElementById(composerId)?.focus())}>{t('skip')}</a>
      {sidebar && <Sidebar />}
      {sidebar && narrow.value && <button type="button" class="backdrop" aria-label={t('closeSidebar')} onClick={() => (drawerOpen.value = false)} />}
      <main class="chat">
        <Header />
        <Banner />
        <FindInChat />
        {empty ? <Welcome /> : <Messages />}
        <Composer />
        <Announcer />
      </main>
      {settingsOpen.value && <SettingsPanel />}
      <KeyDialog />
      <DropZone />
      <Toasts />
    </div>
  );
}
