import { t } from '../i18n';
import type { ChatNode, ToolCall as Call } from '../types';
import { Icon } from './icons';

function pretty(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}

// add(a: 2, b: 3), as far as it fits into a line.
function shortArguments(json: string): string {
  try {
    return Object.entries(JSON.parse(json)).map(([name, value]) => `${name}: ${JSON.stringify(value)}`).join(', ');
  } catch {
    return json;
  }
}

export function ToolCall({ call, running }: { call: Call; running: boolean }) {
  return (
    <details class="card tool-call">
      <summary>
        <Icon name="tool" />
        <span class={running ? 'shimmer' : ''}>{t('toolCalls', { name: call.name })}</span>
        <code>{shortArguments(call.arguments)}</code>
      </summary>
      <pre tabindex={0} aria-label={t('arguments')}>{pretty(call.arguments)}</pre>
    </details>
  );
}

export function ToolResult({ node }: { node: ChatNode }) {
  return (
    <div class="card tool-result">
      <Icon name="check" />
      <span>{node.toolName ?? t('result')}</span>
      <code>{node.content}</code>
    </div>
  );
}
