import { useSignal } from '@preact/signals';
import { t } from '../i18n';
import { changeSettings, current } from '../state/conversations';
import { presets, type Preset } from '../state/preferences';
import { IconButton } from './icons';

const builtIn = (): Preset[] => [
  { name: t('presetDefault'), system: '', sampling: {} },
  { name: t('presetPrecise'), system: '', sampling: { temperature: 0 } },
  { name: t('presetBalanced'), system: '', sampling: { temperature: 0.7, top_p: 0.9 } },
  { name: t('presetCreative'), system: '', sampling: { temperature: 1.1, top_p: 0.98 } },
];

// One's own presets bring their system prompt along; the built-in ones leave it as it is.
function apply(preset: Preset, own: boolean): void {
  changeSettings({ sampling: { ...preset.sampling }, ...(own ? { system: preset.system } : {}) });
}

export function Presets() {
  const name = useSignal('');
  const { system, sampling } = current.value.settings;
  const same = (preset: Preset) => JSON.stringify(preset.sampling) === JSON.stringify(sampling);
  const save = () => {
    const wanted = name.value.trim();
    if (!wanted) return;
    presets.value = [...presets.value.filter((each) => each.name !== wanted), { name: wanted, system, sampling }];
    name.value = '';
  };
  return (
    <section>
      <h3>{t('presets')}</h3>
      <div class="presets">
        {builtIn().map((preset) => (
          <button type="button" key={preset.name} class="chip" aria-pressed={same(preset)} onClick={() => apply(preset, false)}>{preset.name}</button>
        ))}
        {presets.value.map((preset) => (
          <span class="chip-group" key={preset.name}>
            <button type="button" class="chip" aria-pressed={same(preset) && preset.system === system} onClick={() => apply(preset, true)}>{preset.name}</button>
            <IconButton icon="close" label={t('deletePreset', { name: preset.name })} onClick={() => (presets.value = presets.value.filter((each) => each !== preset))} />
          </span>
        ))}
      </div>
      <form class="inline" onSubmit={(event) => (event.preventDefault(), save())}>
        <input aria-label={t('presetName')} placeholder={t('presetName')} value={name.value} onInput={(event) => (name.value = event.currentTarget.value)} />
        <button type="submit" disabled={!name.value.trim()}>{t('savePreset')}</button>
      </form>
    </section>
  );
}
