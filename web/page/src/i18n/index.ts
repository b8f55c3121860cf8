import { language } from '../state/preferences';
import { en, type Texts } from './en';
import { zh } from './zh';

const texts = { en, zh };

// A text in the user's language, {name} replaced. Reads a signal: components follow a change of language.
export function t(key: keyof Texts, values: Record<string, string | number> = {}): string {
  let text = texts[language.value][key];
  for (const [name, value] of Object.entries(values)) text = text.replace(`{${name}}`, () => String(value));
  return text;
}

export function number(value: number, digits = 0): string {
  return value.toLocaleString(language.value === 'zh' ? 'zh-CN' : 'en', { maximumFractionDigits: digits, minimumFractionDigits: digits });
}
