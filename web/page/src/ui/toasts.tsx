import { signal } from '@preact/signals';

interface Toast {
  id: number;
  text: string;
  action?: { label: string; run: () => void };
}

const toasts = signal<Toast[]>([]);
const shownMs = 6000;
let nextId = 0;

// A line at the bottom for a while, perhaps with something to do about it.
export function notify(text: string, action?: Toast['action']): void {
  const toast = { id: nextId++, text, action };
  toasts.value = [...toasts.value.slice(-2), toast];
  setTimeout(() => dismiss(toast.id), shownMs);
}

function dismiss(id: number): void {
  toasts.value = toasts.value.filter((each) => each.id !== id);
}

export function Toasts() {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map(({ id, text, action }) => (
        <div class="toast" key={id}>
          <span>{text}</span>
          {action && (
            <button type="button" onClick={() => (action.run(), dismiss(id))}>
              {action.label}
            </button>
          )}
        </div>
      ))}
    </div>
  );
}
