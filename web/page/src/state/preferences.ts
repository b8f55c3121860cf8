import { effect, signal } from '@preact/signals';
import type { Settings, ToolDefinition } from '../types';

export type Theme = 'auto' | 'light' | 'dark';
export type Language = 'en' | 'zh';

// A signal that the browser remembers; where it may not (private windows), for as long as the page lives.
function remembered<T>(name: string, fallback: T) {
  const key = `lmdeploy-${name}`;
  let start = fallback;
  try {
    const stored = localStorage.getItem(key);
    if (stored !== null) start = JSON.parse(stored) as T;
  } catch {
    // Not readable: as if nothing were stored.
  }
  const value = signal<T>(start);
  effect(() => {
    try {
      localStorage.setItem(key, JSON.stringify(value.value));
    } catch {
      // Full or forbidden.
    }
  });
  return value;
}

export const defaultSettings: Settings = {
  system: '',
  sampling: {},
  toolsOn: false,
  toolChoice: 'auto',
  schemaOn: false,
  schema: '',
  logprobs: false,
  thinking: 'default',
  extra: '',
};

export interface Preset {
  name: string;
  system: string;
  sampling: Settings['sampling'];
}

const numberPair = '{"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}, "required": ["a", "b"]}';

export const builtInTools: ToolDefinition[] = [
  { name: 'add', description: 'Compute the sum of two numbers', parameters: numberPair, answer: '', enabled: true },
  { name: 'mul', description: 'Compute the product of two numbers', parameters: numberPair, answer: '', enabled: true },
];

export const theme = remembered<Theme>('theme', 'auto');
export const language = remembered<Language>('language', navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en');
export const lastSettings = remembered<Settings>('settings', defaultSettings);
export const presets = remembered<Preset[]>('presets', []);
export const ownTools = remembered<ToolDefinition[]>('tools', []);
export const hiddenBuiltIns = remembered<string[]>('hidden-built-ins', []);
export const sidebarOpen = remembered<boolean>('sidebar', true);

const systemDark = matchMedia('(prefers-color-scheme: dark)');
const systemTheme = signal(systemDark.matches);
systemDark.addEventListener('change', () => (systemTheme.value = systemDark.matches));

effect(() => {
  const root = document.documentElement;
  root.lang = language.value === 'zh' ? 'zh-CN' : 'en';
  const dark = theme.value === 'dark' || (theme.value === 'auto' && systemTheme.value);
  root.dataset.theme = dark ? 'dark' : 'light';
});
