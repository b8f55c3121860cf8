import { signal, useSignal } from '@preact/signals';
import { t } from '../i18n';
import { path } from '../state/conversations';
import { IconButton } from './icons';

export const findOpen = signal(false);
export const scrollTarget = signal<string | undefined>(undefined); // id of the message to show

// The browser's own search sees only the messages that are in the document.
export function FindInChat() {
  const words = useSignal('');
  const at = useSignal(0);
  if (!findOpen.value) return null;
  const wanted = words.value.trim().toLowerCase();
  const found = wanted ? path.value.filter((node) => node.content.toLowerCase().includes(wanted)) : [];
  const go = (by: number) => {
    if (!found.length) return;
    at.value = at.value < 0 && by < 0 ? found.length - 1 : (at.value + by + found.length) % found.length;
    scrollTarget.value = found[at.value].id;
  };
  return (
    <div class="find" role="search">
      <input type="search" aria-label={t('findInChat')} placeholder={t('findInChat')} value={words.value} autofocus ref={(input) => { if (!words.peek()) input?.focus(); }}
        onInput={(event) => ((words.value = event.currentTarget.value), (at.value = -1))}
        onKeyDown={(event) => {
          if (event.key === 'Enter') go(event.shiftKey ? -1 : 1);
          if (event.key === 'Escape') findOpen.value = false;
        }} />
      <span aria-live="polite">{wanted && t('matches', { n: found.length })}</span>
      <IconButton icon="left" label={t('previous')} onClick={() => go(-1)} />
      <IconButton icon="right" label={t('next')} onClick={() => go(1)} />
      <IconButton icon="close" label={t('close')} onClick={() => (findOpen.value = false)} />
    </div>
  );
}
