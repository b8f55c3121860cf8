import { model } from '../api/server';
import { number, t } from '../i18n';
import { changeSettings, current } from '../state/conversations';
import type { Sampling, Settings } from '../types';
import { Switch } from './settings_panel';

type NumberName = { [Name in keyof Sampling]-?: Required<Sampling>[Name] extends number ? Name : never }[keyof Sampling];

const numbers: { name: NumberName; min: number; max: number; step: number }[] = [
  { name: 'temperature', min: 0, max: 2, step: 0.1 },
  { name: 'top_p', min: 0, max: 1, step: 0.05 },
  { name: 'top_k', min: 0, max: 1000, step: 1 },
  { name: 'min_p', min: 0, max: 1, step: 0.01 },
  { name: 'typical_p', min: 0, max: 1, step: 0.05 },
  { name: 'repetition_penalty', min: 0.1, max: 3, step: 0.05 },
  { name: 'presence_penalty', min: -2, max: 2, step: 0.1 },
  { name: 'frequency_penalty', min: -2, max: 2, step: 0.1 },
  { name: 'max_tokens', min: 1, max: 1_000_000, step: 1 },
  { name: 'min_new_tokens', min: 0, max: 1_000_000, step: 1 },
  { name: 'seed', min: 0, max: 2 ** 53 - 1, step: 1 },
];

function change(changed: Partial<Sampling>): void {
  const sampling: Record<string, unknown> = { ...current.value.settings.sampling, ...changed };
  for (const [name, value] of Object.entries(sampling)) if (value === undefined) delete sampling[name];
  changeSettings({ sampling: sampling as Sampling });
}

function defaultText(name: string): string {
  const value = model.value?.defaults[name];
  return value === undefined ? '' : number(value, Number.isInteger(value) ? 0 : 2);
}

export function SamplingFields() {
  const { sampling, thinking } = current.value.settings;
  return (
    <section>
      <h3>{t('sampling')}</h3>
      <p class="hint">{t('samplingNote')}</p>
      {numbers.map(({ name, min, max, step }) => (
        <label class="field" key={name}>
          <span>{t(name)}</span>
          <input type="number" name={name} min={min} max={max} step={step} inputMode="decimal" placeholder={defaultText(name)} value={sampling[name] ?? ''}
            onInput={(event) => {
              const { valueAsNumber } = event.currentTarget;
              change({ [name]: Number.isNaN(valueAsNumber) ? undefined : valueAsNumber });
            }} />
        </label>
      ))}
      <label class="field stacked">
        <span>{t('stopStrings')}</span>
        <textarea name="stop" rows={2} value={(sampling.stop ?? []).join('\n')}
          onChange={(event) => {
            const lines = event.currentTarget.value.split('\n').filter(Boolean);
            change({ stop: lines.length ? lines : undefined });
          }} />
      </label>
      <Switch label={t('ignore_eos')} on={sampling.ignore_eos ?? false} onChange={(on) => change({ ignore_eos: on || undefined })} />
      <Switch label={t('skip_special_tokens')} on={sampling.skip_special_tokens ?? true} onChange={(on) => change({ skip_special_tokens: on ? undefined : false })} />
      <label class="field">
        <span>{t('thinking')}</span>
        <select value={thinking} onChange={(event) => changeSettings({ thinking: event.currentTarget.value as Settings['thinking'] })}>
          <option value="default">{t('thinkingDefault')}</option>
          <option value="on">{t('on')}</option>
          <option value="off">{t('off')}</option>
        </select>
      </label>
      <button type="button" class="plain" onClick={() => changeSettings({ sampling: {}, thinking: 'default' })}>{t('resetSampling')}</button>
    </section>
  );
}
