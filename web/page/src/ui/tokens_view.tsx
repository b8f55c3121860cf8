import { useSignal } from '@preact/signals';
import { number, t } from '../i18n';
import type { TokenInfo } from '../types';

const percent = (logprob: number) => number(100 * Math.exp(logprob), 1) + '%';

// Ten shades, from unlikely to certain.
const shade = (logprob: number) => Math.min(9, Math.floor(Math.exp(logprob) * 10));

const visible = (token: string) => token.replace(/\n/g, '⏎').replace(/^ /, '␣') || '∅';

export function TokensView({ tokens }: { tokens: TokenInfo[] }) {
  const chosen = useSignal<number | undefined>(undefined);
  const shown = chosen.value === undefined ? undefined : tokens[chosen.value];
  return (
    <div class="tokens-view">
      <p class="tokens">
        {tokens.map((token, i) => (
          <span key={i} class={`token p${shade(token.logprob)}`} tabindex={0} role="button" aria-label={`${visible(token.token)} ${percent(token.logprob)}`}
            title={percent(token.logprob)} onMouseEnter={() => (chosen.value = i)} onFocus={() => (chosen.value = i)} onClick={() => (chosen.value = i)}>
            {token.token}
          </span>
        ))}
      </p>
      <div class="alternatives" aria-live="polite">
        <span>{shown ? `${t('likeliest')}:` : t('tokensView')}</span>
        {(shown?.top.length ? shown.top : shown ? [shown] : []).map((choice, i) => (
          <span key={i} class={choice.token === shown!.token ? 'choice drawn' : 'choice'}>
            <code>{visible(choice.token)}</code> {percent(choice.logprob)}
          </span>
        ))}
      </div>
    </div>
  );
}
