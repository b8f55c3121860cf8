import { useSignal } from '@preact/signals';
import { model, modelName, models, serverState, shortName, type ServerState } from '../api/server';
import { runs } from '../chat/answer';
import { number, t } from '../i18n';
import { current, newConversation, path } from '../state/conversations';
import { sidebarOpen } from '../state/preferences';
import { IconButton } from './icons';
import { drawerOpen, narrow, settingsOpen } from './panels';
import { ServerPanel } from './server_panel';

const stateText = {
  connecting: 'stateConnecting', ok: 'stateOk', loading: 'stateLoading', unhealthy: 'stateUnhealthy', draining: 'stateDraining', gone: 'stateGone',
} as const satisfies Record<ServerState, string>;

// The tokens of the last prompt and answer, of what the model can hold.
function ContextFill() {
  const run = runs.value.get(current.value.id);
  const shown = path.value;
  const stats = [...shown].reverse().map((node) => (run?.node.value.id === node.id ? run.node.value : node).stats).find((each) => each?.promptTokens);
  const limit = model.value?.contextLength;
  if (!stats?.promptTokens || !limit) return null;
  const used = stats.promptTokens + (stats.completionTokens ?? 0);
  const share = Math.min(1, used / limit);
  const text = t('contextFill', { used: number(used), limit: number(limit) });
  return (
    <span class="context" role="img" aria-label={text} title={text}>
      <svg viewBox="0 0 20 20" aria-hidden="true">
        <circle cx="10" cy="10" r="7.5" class="ring" />
        <circle cx="10" cy="10" r="7.5" class={share > 0.9 ? 'fill full' : 'fill'} pathLength={100} stroke-dasharray={`${share * 100} 100`} />
      </svg>
      <span>{number(share * 100)}%</span>
    </span>
  );
}

function ModelChoice() {
  if (models.value.length < 2) return <span class="model-name" title={model.value?.id}>{shortName(model.value?.id ?? '')}</span>;
  return (
    <select class="model-name" aria-label={t('model')} value={model.value?.id} onChange={(event) => (modelName.value = event.currentTarget.value)}>
      {models.value.map((each) => <option key={each.id} value={each.id}>{shortName(each.id)}</option>)}
    </select>
  );
}

export function Header() {
  const panelOpen = useSignal(false);
  const hidden = narrow.value || !sidebarOpen.value;
  const state = t(stateText[serverState.value]);
  return (
    <header class="top">
      {hidden && <IconButton icon="menu" label={t('openSidebar')} onClick={() => (narrow.value ? (drawerOpen.value = true) : (sidebarOpen.value = true))} />}
      {hidden && <IconButton icon="plus" label={t('newChat')} onClick={newConversation} />}
      <ModelChoice />
      <span class="spring" />
      <ContextFill />
      <button type="button" class="state" aria-expanded={panelOpen.value} aria-label={`${t('server')}: ${state}`} title={state}
        onClick={() => (panelOpen.value = !panelOpen.value)}>
        <span class={`dot ${serverState.value}`} aria-hidden="true" /><span class="state-text">{state}</span>
      </button>
      <IconButton icon="settings" label={t('settings')} pressed={settingsOpen.value} onClick={() => (settingsOpen.value = !settingsOpen.value)} />
      {panelOpen.value && <ServerPanel onClose={() => (panelOpen.value = false)} />}
    </header>
  );
}
