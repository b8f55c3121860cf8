import { defineConfig, type Plugin } from 'vite';
import { licenses } from './build/licenses';

// KaTeX names each font in three formats; every browser that runs this page takes the first.
const woff2Only: Plugin = {
  name: 'woff2-only',
  enforce: 'pre',
  transform(code, id) {
    if (!id.includes('katex') || !id.endsWith('.css')) return null;
    return code.replace(/,url\([^)]*\.(?:woff|ttf)\) format\("(?:woff|truetype)"\)/g, '');
  },
};

// The page is served at /chat and its files below /chat/, or below any path that a proxy puts before it:
// every reference is relative.
export default defineConfig({
  base: './',
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact', legalComments: 'none' },
  plugins: [woff2Only, licenses()],
  build: {
    target: 'es2020',
    assetsDir: 'chat',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1000,
    rollupOptions: {
      output: {
        entryFileNames: 'chat/page.js',
        chunkFileNames: 'chat/[name].js',
        assetFileNames: 'chat/[name][extname]',
      },
    },
  },
  test: { include: ['test/**/*.test.ts'], environment: 'node' },
  server: { proxy: Object.fromEntries(['/v1', '/health', '/metrics'].map((path) => [path, 'http://127.0.0.1:23333'])) },
} as Parameters<typeof defineConfig>[0]);
