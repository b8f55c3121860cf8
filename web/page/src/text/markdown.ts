import { tex } from '@mdit/plugin-tex';
import { signal } from '@preact/signals';
import DOMPurify from 'dompurify';
import MarkdownIt from 'markdown-it';
import { t } from '../i18n';

// KaTeX and the highlighter are fetched when the first formula or code block is shown.
type Katex = typeof import('katex').default;
type Highlighter = typeof import('./highlighter').highlighter;
const katex = signal<Katex | undefined>(undefined);
const highlighter = signal<Highlighter | undefined>(undefined);
let katexAsked = false;
let highlighterAsked = false;

function wantKatex(): Katex | undefined {
  if (!katexAsked) {
    katexAsked = true;
    void Promise.all([import('katex'), import('katex/dist/katex.min.css')]).then(([module]) => (katex.value = module.default));
  }
  return katex.value;
}

function wantHighlighter(): Highlighter | undefined {
  if (!highlighterAsked) {
    highlighterAsked = true;
    void import('./highlighter').then((module) => (highlighter.value = module.highlighter));
  }
  return highlighter.value;
}

const markdown = new MarkdownIt({ html: false, linkify: true, breaks: false });
const { escapeHtml } = markdown.utils;

// Models write \\( \\), \\[ \\] and $$ as well as $; what KaTeX cannot read is shown as it came.
markdown.use(tex, {
  delimiters: 'all',
  mathFence: true,
  render: (source, displayMode) => {
    const library = wantKatex();
    if (!library) return `<code>${escapeHtml(source)}</code>`;
    const html = library.renderToString(source, { displayMode, throwOnError: false, trust: false, maxSize: 20, maxExpand: 500 });
    return displayMode ? `<div class="formula">${html}</div>` : html;
  },
});

function codeBlock(source: string, info: string): string {
  const name = info.trim().split(/\s+/, 1)[0].toLowerCase();
  const library = wantHighlighter();
  const known = library?.getLanguage(name) !== undefined;
  const html = known ? library!.highlight(source, { language: name, ignoreIllegals: true }).value : escapeHtml(source);
  return `<div class="code"><div class="code-head"><span>${escapeHtml(name || 'text')}</span>` +
    `<button type="button" data-copy-code>${escapeHtml(t('copy'))}</button></div>` +
    `<pre tabindex="0"><code>${html}</code></pre></div>`;
}

markdown.renderer.rules.fence = (tokens, idx) => codeBlock(tokens[idx].content, tokens[idx].info);
markdown.renderer.rules.code_block = (tokens, idx) => codeBlock(tokens[idx].content, '');
markdown.renderer.rules.table_open = () => '<div class="table" tabindex="0"><table>';
markdown.renderer.rules.table_close = () => '</table></div>';
// An image would be fetched from elsewhere, telling its owner who reads this: a link leaves that to the reader.
markdown.renderer.rules.image = (tokens, idx) => {
  const url = escapeHtml(tokens[idx].attrGet('src') ?? '');
  return `<a href="${url}">${escapeHtml(tokens[idx].content || url)}</a>`;
};

const purifier = DOMPurify();
purifier.addHook('afterSanitizeAttributes', (element) => {
  if (element.tagName !== 'A') return;
  element.setAttribute('target', '_blank');
  element.setAttribute('rel', 'noopener noreferrer nofollow');
});

function sanitised(html: string): string {
  return purifier.sanitize(html, {
    USE_PROFILES: { html: true, mathMl: true, svg: true },
    ADD_TAGS: ['semantics', 'annotation'],
    ADD_ATTR: ['target'],
    FORBID_TAGS: ['style', 'form', 'input', 'textarea', 'select', 'img', 'video', 'audio', 'image', 'use', 'foreignObject'],
    FORBID_ATTR: ['srcset', 'action', 'id', 'name'],
  });
}

// Sanitised blocks by their raw HTML: while an answer grows only its last block is new.
const maxCached = 2000;
const cache = new Map<string, string>();

function cachedSanitised(html: string): string {
  let clean = cache.get(html);
  if (clean === undefined) {
    clean = sanitised(html);
    if (cache.size >= maxCached) cache.delete(cache.keys().next().value!);
    cache.set(html, clean);
  }
  return clean;
}

// The HTML of each top-level block of a Markdown text, safe to be shown. Reads signals: a component that calls
// this is drawn again when KaTeX or the highlighter has arrived.
export function renderBlocks(source: string): string[] {
  void katex.value;
  void highlighter.value;
  const env = {};
  const tokens = markdown.parse(source, env);
  const blocks: string[] = [];
  for (let begin = 0, end = 0; begin < tokens.length; begin = end) {
    let depth = 0;
    do depth += tokens[end++].nesting;
    while (depth > 0 && end < tokens.length);
    blocks.push(cachedSanitised(markdown.renderer.render(tokens.slice(begin, end), markdown.options, env)));
  }
  return blocks;
}
