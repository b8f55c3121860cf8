import { useRef } from 'preact/hooks';
import { t } from '../i18n';
import { language, theme, type Theme } from '../state/preferences';
import { Icon, IconButton, type IconName } from './icons';
import { exportAll, importFiles } from './transfer_files';

const themes: { value: Theme; icon: IconName; text: 'themeAuto' | 'themeLight' | 'themeDark' }[] = [
  { value: 'auto', icon: 'auto', text: 'themeAuto' },
  { value: 'light', icon: 'sun', text: 'themeLight' },
  { value: 'dark', icon: 'moon', text: 'themeDark' },
];

function ThemeButton() {
  const at = themes.findIndex((each) => each.value === theme.value);
  const { icon, text } = themes[Math.max(at, 0)];
  return <IconButton icon={icon} label={`${t('theme')}: ${t(text)}`} onClick={() => (theme.value = themes[(at + 1) % themes.length].value)} />;
}

export function SidebarFooter() {
  const input = useRef<HTMLInputElement>(null);
  return (
    <div class="sidebar-foot">
      <button type="button" class="plain" lang={language.value === 'zh' ? 'en' : 'zh-CN'}
        onClick={() => (language.value = language.value === 'zh' ? 'en' : 'zh')}>
        {t('language')}
      </button>
      <ThemeButton />
      <span class="spring" />
      <IconButton icon="upload" label={t('import')} onClick={() => input.current!.click()} />
      <IconButton icon="download" label={t('exportAll')} onClick={() => void exportAll()} />
      <input ref={input} type="file" accept=".json,.md" multiple hidden aria-label={t('import')}
        onChange={(event) => {
          const files = [...(event.currentTarget.files ?? [])];
          event.currentTarget.value = '';
          void importFiles(files);
        }} />
      <a class="plain" href="chat/licenses.txt" target="_blank" rel="noopener" title={t('about')} aria-label={t('about')}><Icon name="info" /></a>
    </div>
  );
}
