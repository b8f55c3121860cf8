import { useSignal } from '@preact/signals';
import { giveResults } from '../chat/answer';
import type { Run, Waiting } from '../chat/completion';
import { enabledTools, resultOf } from '../chat/tools';
import { t } from '../i18n';
import { children } from '../state/conversations';
import type { ChatNode } from '../types';
import { MarkdownText } from './markdown_text';
import { Icon } from './icons';
import { TokensView } from './tokens_view';
import { ToolCall } from './tool_card';

const waitingText = {
  full: 'waitFull', loading: 'waitLoading', unhealthy: 'waitUnhealthy', draining: 'waitDraining', gone: 'waitGone', key: 'waitKey',
} as const satisfies Record<Waiting, string>;

function Reasoning({ text, running }: { text: string; running: boolean }) {
  return (
    <details class="reasoning">
      <summary>
        <Icon name="spark" /><span class={running ? 'shimmer' : ''}>{t(running ? 'reasoningNow' : 'reasoning')}</span>
      </summary>
      <MarkdownText source={text} />
    </details>
  );
}

// Where the page cannot say what the tools return, the user does.
function AskResults({ node }: { node: ChatNode }) {
  const calls = node.toolCalls!;
  const texts = useSignal(calls.map((call) => resultOf(call, enabledTools.value) ?? ''));
  return (
    <form class="ask-results" onSubmit={(event) => (event.preventDefault(), void giveResults(node, texts.value))}>
      {calls.map((call, i) => (
        <label key={call.id}>
          {t('giveResult', { name: call.name })}
          <textarea rows={2} value={texts.value[i]} onInput={(event) => (texts.value = texts.value.map((text, j) => (j === i ? event.currentTarget.value : text)))} />
        </label>
      ))}
      <button type="submit" class="primary">{t('sendResults')}</button>
    </form>
  );
}

function Ending({ node }: { node: ChatNode }) {
  if (node.error) return <p class="note bad" role="alert">{t('failed', { problem: node.error })}</p>;
  if (node.finish === 'length') return <p class="note">{t('cutByLength')}</p>;
  if (node.finish === 'stopped' || node.finish === undefined) return <p class="note">{t('stopped')}</p>;
  return null;
}

export function AnswerBody({ node, run, tokensShown }: { node: ChatNode; run?: Run; tokensShown: boolean }) {
  const calls = node.toolCalls ?? [];
  const waiting = run?.waiting.value;
  const unanswered = calls.length > 0 && !run && !node.error && !children.value.get(node.id)?.length;
  return (
    <div class="answer">
      {node.reasoning && <Reasoning text={node.reasoning} running={run !== undefined && !node.content && !calls.length} />}
      {tokensShown && node.tokens ? <TokensView tokens={node.tokens} /> : node.content && <MarkdownText source={node.content} />}
      {calls.map((call, i) => <ToolCall key={i} call={call} running={run !== undefined} />)}
      {unanswered && <AskResults node={node} />}
      {run && !waiting && !node.content && !node.reasoning && !calls.length && <span class="typing" role="img" aria-label={t('reasoningNow')}><i /><i /><i /></span>}
      {waiting && <p class={`note waiting ${waiting}`} role="status"><span class="dot busy" aria-hidden="true" />{t(waitingText[waiting])}</p>}
      {!run && <Ending node={node} />}
    </div>
  );
}
