import { useState } from 'preact/hooks';
import { apiKey, keyWanted, setApiKey } from '../api/client';
import { t } from '../i18n';
import { Dialog } from './dialog';

export function KeyDialog() {
  const [key, setKey] = useState(apiKey.value);
  if (!keyWanted.value) return null;
  return (
    <Dialog title={t('keyTitle')} onClose={() => (keyWanted.value = false)} class="small">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          setApiKey(key.trim());
        }}
      >
        <p>{t('keyText')}</p>
        <input type="password" autocomplete="off" aria-label={t('keyPlaceholder')} placeholder={t('keyPlaceholder')} value={key} autofocus
          onInput={(event) => setKey(event.currentTarget.value)} />
        <div class="dialog-actions">
          <button type="submit" class="primary" disabled={!key.trim()}>{t('useKey')}</button>
        </div>
      </form>
    </Dialog>
  );
}
