import { useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { runs } from '../chat/answer';
import { t } from '../i18n';
import { current, path } from '../state/conversations';
import type { ChatNode } from '../types';
import { Message } from './message';
import { scrollTarget } from './find_in_chat';

const step = 40; // messages that come in at an end of the window
const maxShown = 160;
const nearBottom = 80; // pixels

// The part of a conversation that is in the document: of a long one a window that moves with the reader.
function useWindow(count: number) {
  const end = useSignal(count);
  const lastCount = useRef(count);
  if (lastCount.current !== count) {
    if (end.peek() >= lastCount.current || end.peek() > count) end.value = count;
    lastCount.current = count;
  }
  const start = useSignal(Math.max(0, count - step));
  if (start.peek() > end.peek() || start.peek() < end.peek() - maxShown) start.value = Math.max(0, end.peek() - step);
  return { start, end };
}

// Reports when an edge of the window comes into sight.
function Edge({ onSeen }: { onSeen: () => void }) {
  const ref = useRef<HTMLDivElement>(null);
  const seen = useRef(onSeen);
  seen.current = onSeen;
  useEffect(() => {
    const observer = new IntersectionObserver(([entry]) => entry.isIntersecting && seen.current(), { rootMargin: '1200px 0px' });
    observer.observe(ref.current!);
    return () => observer.disconnect();
  });
  return <div class="edge" ref={ref} aria-hidden="true" />;
}

export function Messages() {
  const shown = path.value;
  return <MessageList key={current.value.id} shown={shown} />;
}

function MessageList({ shown }: { shown: ChatNode[] }) {
  const box = useRef<HTMLDivElement>(null);
  const atBottom = useRef(true);
  const kept = useRef<{ id: string; top: number } | undefined>(undefined);
  const { start, end } = useWindow(shown.length);
  const away = useSignal(false);
  const run = runs.value.get(current.value.id);

  // Before the window moves: where the first message in sight stands, so that it stays there.
  const keepPlace = () => {
    const top = box.current!.getBoundingClientRect().top;
    for (const element of box.current!.querySelectorAll<HTMLElement>('[data-node]')) {
      const rect = element.getBoundingClientRect();
      if (rect.bottom > top) return (kept.current = { id: element.dataset.node!, top: rect.top }), undefined;
    }
  };
  const showEarlier = () => {
    if (start.value === 0) return;
    keepPlace();
    start.value = Math.max(0, start.value - step);
    end.value = Math.min(end.value, start.value + maxShown);
  };
  const showLater = () => {
    if (end.value >= shown.length) return;
    keepPlace();
    end.value = Math.min(shown.length, end.value + step);
    start.value = Math.max(start.value, end.value - maxShown);
  };
  const toBottom = () => {
    end.value = shown.length;
    start.value = Math.max(0, shown.length - step);
    atBottom.current = true;
    requestAnimationFrame(() => box.current?.scrollTo({ top: box.current.scrollHeight }));
  };

  useLayoutEffect(() => {
    const place = kept.current;
    kept.current = undefined;
    if (!place) return;
    const element = box.current!.querySelector(`[data-node="${place.id}"]`);
    if (element) box.current!.scrollTop += element.getBoundingClientRect().top - place.top;
  }, [start.value, end.value]);

  // A message that the search has found.
  useEffect(() => {
    const wanted = scrollTarget.value;
    const idx = shown.findIndex((node) => node.id === wanted);
    if (idx < 0) return;
    atBottom.current = false;
    start.value = Math.max(0, idx - step / 2);
    end.value = Math.min(shown.length, idx + step / 2);
    requestAnimationFrame(() => box.current?.querySelector(`[data-node="${wanted}"]`)?.scrollIntoView({ block: 'center' }));
  }, [scrollTarget.value]);

  // Follows the answer as long as the reader is at the bottom.
  useEffect(() => {
    const content = box.current!.firstElementChild!;
    const observer = new ResizeObserver(() => {
      if (atBottom.current) box.current!.scrollTop = box.current!.scrollHeight;
    });
    observer.observe(content);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    if (run) toBottom();
  }, [run !== undefined]);

  const onScroll = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current!;
    atBottom.current = end.value >= shown.length && scrollHeight - scrollTop - clientHeight < nearBottom;
    away.value = !atBottom.current;
  };

  return (
    <>
      <div class="messages" ref={box} onScroll={onScroll} tabindex={0} role="log" aria-live="off" aria-busy={run !== undefined} aria-label={current.value.title || t('untitled')}>
        <div class="column">
          {start.value > 0 && <Edge onSeen={showEarlier} />}
          {shown.slice(start.value, end.value).map((node) => (
            <Message key={node.id} node={node} run={run?.node.value.id === node.id ? run : undefined} />
          ))}
          {end.value < shown.length && <Edge onSeen={showLater} />}
        </div>
      </div>
      {away.value && (
        <button type="button" class="to-bottom" aria-label={t('next')} onClick={toBottom}>
          <svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="M12 5v14M6 13l6 6 6-6" /></svg>
        </button>
      )}
    </>
  );
}
