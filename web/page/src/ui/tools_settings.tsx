import { useSignal } from '@preact/signals';
import { allTools } from '../chat/tools';
import { t } from '../i18n';
import { changeSettings, current } from '../state/conversations';
import { builtInTools, hiddenBuiltIns, ownTools } from '../state/preferences';
import type { ToolDefinition } from '../types';
import { Dialog } from './dialog';
import { Icon, IconButton } from './icons';
import { JsonField, jsonProblem } from './json_field';
import { Switch } from './settings_panel';

const emptyTool: ToolDefinition = {
  name: '',
  description: '',
  parameters: '{\n  "type": "object",\n  "properties": {"city": {"type": "string"}},\n  "required": ["city"]\n}',
  answer: '',
  enabled: true,
};

const isBuiltIn = (tool: ToolDefinition) => builtInTools.some((each) => each.name === tool.name);

function enable(tool: ToolDefinition, on: boolean): void {
  if (isBuiltIn(tool)) hiddenBuiltIns.value = on ? hiddenBuiltIns.value.filter((name) => name !== tool.name) : [...hiddenBuiltIns.value, tool.name];
  else ownTools.value = ownTools.value.map((each) => (each === tool ? { ...tool, enabled: on } : each));
}

function nameProblem(name: string, before: ToolDefinition | undefined): string | undefined {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(name)) return t('badName');
  return allTools.value.some((each) => each.name === name && each !== before) ? t('nameTaken') : undefined;
}

function ToolDialog({ before, onClose }: { before?: ToolDefinition; onClose: () => void }) {
  const tool = useSignal(before ?? emptyTool);
  const change = (changed: Partial<ToolDefinition>) => (tool.value = { ...tool.value, ...changed });
  const problem = nameProblem(tool.value.name, before);
  const bad = problem !== undefined || jsonProblem(tool.value.parameters) !== undefined || !tool.value.parameters.trim();
  const save = () => {
    ownTools.value = before ? ownTools.value.map((each) => (each === before ? tool.value : each)) : [...ownTools.value, tool.value];
    onClose();
  };
  return (
    <Dialog title={before ? t('editTool', { name: before.name }) : t('addTool')} onClose={onClose}>
      <form onSubmit={(event) => (event.preventDefault(), save())}>
        <label class="field stacked">
          <span>{t('toolName')}</span>
          <input value={tool.value.name} spellcheck={false} autofocus onInput={(event) => change({ name: event.currentTarget.value })} />
          {tool.value.name && problem && <small class="bad" role="alert">{problem}</small>}
        </label>
        <label class="field stacked">
          <span>{t('toolDescription')}</span>
          <input value={tool.value.description} onInput={(event) => change({ description: event.currentTarget.value })} />
        </label>
        <JsonField label={t('toolParameters')} rows={6} value={tool.value.parameters} onChange={(parameters) => change({ parameters })} />
        <label class="field stacked">
          <span>{t('toolAnswer')}</span>
          <textarea rows={2} value={tool.value.answer} onInput={(event) => change({ answer: event.currentTarget.value })} />
          <small>{t('toolAnswerHint')}</small>
        </label>
        <div class="dialog-actions"><button type="submit" class="primary" disabled={bad}>{t('save')}</button></div>
      </form>
    </Dialog>
  );
}

export function ToolsSettings() {
  const { toolsOn, toolChoice } = current.value.settings;
  const edited = useSignal<ToolDefinition | 'new' | undefined>(undefined);
  return (
    <section>
      <h3>{t('tools')}</h3>
      <Switch label={t('useTools')} on={toolsOn} onChange={(on) => changeSettings({ toolsOn: on })} />
      {toolsOn && (
        <>
          <ul class="tools">
            {allTools.value.map((tool) => (
              <li key={tool.name}>
                <label>
                  <input type="checkbox" checked={tool.enabled} onChange={(event) => enable(tool, event.currentTarget.checked)} />
                  <span><code>{tool.name}</code><small>{tool.description}</small></span>
                </label>
                {!isBuiltIn(tool) && <IconButton icon="edit" label={t('editTool', { name: tool.name })} onClick={() => (edited.value = tool)} />}
                {!isBuiltIn(tool) && <IconButton icon="trash" label={`${t('delete')}: ${tool.name}`} onClick={() => (ownTools.value = ownTools.value.filter((each) => each !== tool))} />}
              </li>
            ))}
          </ul>
          <label class="field">
            <span>{t('toolChoice')}</span>
            <select value={toolChoice} onChange={(event) => changeSettings({ toolChoice: event.currentTarget.value })}>
              <option value="auto">{t('toolAuto')}</option>
              <option value="required">{t('toolRequired')}</option>
              <option value="none">{t('toolNone')}</option>
              {allTools.value.filter((tool) => tool.enabled).map((tool) => <option key={tool.name} value={tool.name}>{tool.name}</option>)}
            </select>
          </label>
          <button type="button" class="plain" onClick={() => (edited.value = 'new')}><Icon name="plus" />{t('addTool')}</button>
        </>
      )}
      {edited.value && <ToolDialog before={edited.value === 'new' ? undefined : edited.value} onClose={() => (edited.value = undefined)} />}
    </section>
  );
}
