import { webcrypto } from 'node:crypto';
import { vi } from 'vitest';

// What the preferences and the ids look at when their modules are loaded.
export function stubBrowser(): void {
  vi.stubGlobal('crypto', webcrypto);
  vi.stubGlobal('navigator', { language: 'en' });
  vi.stubGlobal('localStorage', { getItem: () => null, setItem: () => {} });
  vi.stubGlobal('document', { documentElement: { dataset: {} } });
  vi.stubGlobal('matchMedia', () => ({ matches: false, addEventListener: () => {} }));
}
