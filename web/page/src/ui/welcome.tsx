import { model, shortName } from '../api/server';
import { t } from '../i18n';
import { MarkdownText } from './markdown_text';
import { sendText } from './composer';

const suggestions = ['suggestion1', 'suggestion2', 'suggestion3', 'suggestion4'] as const;

export function Welcome() {
  return (
    <div class="welcome">
      <div>
        <span class="brand-mark large" aria-hidden="true" />
        <h1>{t('greeting')}</h1>
        <p>{model.value ? t('greetingModel', { model: shortName(model.value.id) }) : ' '}</p>
        <div class="suggestions">
          {suggestions.map((key) => (
            <button type="button" key={key} onClick={() => sendText(t(key))}><MarkdownText source={t(key)} /></button>
          ))}
        </div>
      </div>
    </div>
  );
}
