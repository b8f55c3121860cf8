import { t } from '../i18n';

// undefined: the text is a JSON object, or empty.
export function jsonProblem(text: string): string | undefined {
  if (!text.trim()) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' && !Array.isArray(value) ? undefined : t('notObject');
  } catch (error) {
    return t('badJson', { problem: error instanceof Error ? error.message : String(error) });
  }
}

export function JsonField(props: { label: string; hideLabel?: boolean; rows: number; value: string; onChange: (text: string) => void }) {
  const problem = jsonProblem(props.value);
  return (
    <label class="field stacked">
      {!props.hideLabel && <span>{props.label}</span>}
      <textarea class="mono" spellcheck={false} rows={props.rows} aria-label={props.label} aria-invalid={problem !== undefined} value={props.value}
        onInput={(event) => props.onChange(event.currentTarget.value)} />
      {problem && <small class="bad" role="alert">{problem}</small>}
    </label>
  );
}
