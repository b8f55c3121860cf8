import { keyWanted } from '../api/client';
import type { Sample } from '../api/metrics';
import { metricsOffered, model, samples } from '../api/server';
import { number, t } from '../i18n';
import { Icon, IconButton } from './icons';

const width = 240;
const height = 44;
const numPoints = 60;

// One measure over the last two minutes.
function Chart(props: { title: string; values: number[]; max: number; text: string; kind: string }) {
  const x = (i: number) => width - ((props.values.length - 1 - i) * width) / (numPoints - 1);
  const y = (value: number) => height - 2 - (height - 6) * Math.min(1, value / props.max);
  const line = props.values.map((value, i) => `${x(i).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
  const first = x(0).toFixed(1);
  return (
    <figure class={`chart ${props.kind}`}>
      <figcaption><span>{props.title}</span><strong>{props.text}</strong></figcaption>
      <svg viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={`${props.title}: ${props.text}, ${t('lastMinutes')}`}>
        {props.values.length > 1 && <polygon points={`${first},${height} ${line} ${width},${height}`} />}
        {props.values.length > 1 && <polyline points={line} />}
      </svg>
    </figure>
  );
}

export function ServerPanel({ onClose }: { onClose: () => void }) {
  const of = (name: keyof Sample) => samples.value.map((sample) => sample[name]);
  const last = samples.value[samples.value.length - 1];
  const top = (values: number[]) => Math.max(4, ...values);
  return (
    <section class="server-panel" aria-label={t('server')} onKeyDown={(event) => event.key === 'Escape' && onClose()}>
      <div class="panel-head"><h2>{t('server')}</h2><IconButton icon="close" label={t('close')} onClick={onClose} /></div>
      {model.value && <p class="panel-model">{model.value.id}</p>}
      {last && <Chart title={t('running')} values={of('running')} max={top(of('running'))} text={number(last.running)} kind="running" />}
      {last && <Chart title={t('waiting')} values={of('waiting')} max={top(of('waiting'))} text={number(last.waiting)} kind="waiting" />}
      {last && <Chart title={t('cache')} values={of('cacheUsage')} max={1} text={`${number(last.cacheUsage * 100, 1)}%`} kind="cache" />}
      {!metricsOffered.value && <p>{t('noMetrics')}</p>}
      <button type="button" class="plain" onClick={() => (keyWanted.value = true)}><Icon name="key" />{t('changeKey')}</button>
    </section>
  );
}
