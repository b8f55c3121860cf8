import { t } from '../i18n';
import { changeSettings, current } from '../state/conversations';
import { IconButton } from './icons';
import { JsonField } from './json_field';
import { settingsOpen } from './panels';
import { Presets } from './presets';
import { SamplingFields } from './sampling_fields';
import { ToolsSettings } from './tools_settings';

export function Switch(props: { label: string; on: boolean; onChange: (on: boolean) => void }) {
  return (
    <label class="switch">
      <span>{props.label}</span>
      <input type="checkbox" role="switch" checked={props.on} onChange={(event) => props.onChange(event.currentTarget.checked)} />
    </label>
  );
}

const exampleSchema = `{
  "type": "object",
  "properties": {
    "name": {"type": "string"},
    "year": {"type": "integer"}
  },
  "required": ["name", "year"],
  "additionalProperties": false
}`;

export function SettingsPanel() {
  const { settings } = current.value;
  return (
    <aside class="settings" aria-label={t('settings')} onKeyDown={(event) => event.key === 'Escape' && !document.querySelector('dialog[open]') && (settingsOpen.value = false)}>
      <div class="panel-head"><h2>{t('settings')}</h2><IconButton icon="close" label={t('close')} onClick={() => (settingsOpen.value = false)} /></div>
      <Presets />
      <section>
        <h3 id="system-title">{t('system')}</h3>
        <textarea rows={4} aria-labelledby="system-title" placeholder={t('systemPlaceholder')} value={settings.system}
          onInput={(event) => changeSettings({ system: event.currentTarget.value })} />
      </section>
      <SamplingFields />
      <ToolsSettings />
      <section>
        <h3>{t('structured')}</h3>
        <Switch label={t('useSchema')} on={settings.schemaOn} onChange={(schemaOn) => changeSettings({ schemaOn, schema: settings.schema || exampleSchema })} />
        {settings.schemaOn && <JsonField label={t('schema')} rows={9} value={settings.schema} onChange={(schema) => changeSettings({ schema })} />}
      </section>
      <section>
        <h3>{t('logprobs')}</h3>
        <Switch label={t('useLogprobs')} on={settings.logprobs} onChange={(logprobs) => changeSettings({ logprobs })} />
      </section>
      <section>
        <h3>{t('extra')}</h3>
        <JsonField label={t('extra')} hideLabel rows={2} value={settings.extra} onChange={(extra) => changeSettings({ extra })} />
      </section>
    </aside>
  );
}
