import { memo } from 'preact/compat';
import { t } from '../i18n';
import { copyText } from '../text/copy';
import { renderBlocks } from '../text/markdown';

// The blocks have been sanitised. A block that has not changed keeps its elements.
const Block = memo(({ html }: { html: string }) => <div class="block" dangerouslySetInnerHTML={{ __html: html }} />);

async function onClick(event: MouseEvent) {
  const button = (event.target as Element).closest<HTMLButtonElement>('button[data-copy-code]');
  if (!button) return;
  const copied = await copyText(button.closest('.code')!.querySelector('code')!.textContent ?? '');
  button.textContent = t(copied ? 'copied' : 'copyFailed');
  setTimeout(() => (button.textContent = t('copy')), 1500);
}

export function MarkdownText({ source }: { source: string }) {
  return (
    <div class="markdown" onClick={onClick}>
      {renderBlocks(source).map((html, i) => <Block key={i} html={html} />)}
    </div>
  );
}
