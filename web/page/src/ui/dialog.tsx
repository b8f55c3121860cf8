import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { t } from '../i18n';
import { IconButton } from './icons';

// A modal dialog; the browser keeps the focus inside and closes it with Escape.
export function Dialog(props: { title: string; onClose: () => void; children: ComponentChildren; class?: string }) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = ref.current!;
    dialog.showModal();
    return () => dialog.close();
  }, []);
  return (
    <dialog
      ref={ref}
      class={props.class}
      aria-label={props.title}
      onCancel={(event) => (event.preventDefault(), props.onClose())}
      onClick={(event) => event.target === ref.current && props.onClose()}
    >
      <div class="dialog-body">
        <header>
          <h2>{props.title}</h2>
          <IconButton icon="close" label={t('close')} onClick={props.onClose} />
        </header>
        {props.children}
      </div>
    </dialog>
  );
}
