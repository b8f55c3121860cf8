import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { t } from '../i18n';
import type { TextFile } from '../types';
import { notify } from './toasts';

const maxFileBytes = 2 << 20;

export const droppedFiles = signal<TextFile[]>([]); // read, and not yet taken over by the composer
const dragging = signal(false);

// Files that hold text, whatever their name says.
export async function readTextFiles(files: Iterable<File>): Promise<void> {
  const read: TextFile[] = [];
  for (const file of files) {
    if (file.size > maxFileBytes) {
      notify(t('tooBig', { name: file.name, limit: '2 MiB' }));
      continue;
    }
    try {
      const text = new TextDecoder('utf-8', { fatal: true }).decode(await file.arrayBuffer());
      if (text.includes('\0')) throw new TypeError('binary');
      read.push({ name: file.name, text });
    } catch {
      notify(t('notText', { name: file.name }));
    }
  }
  droppedFiles.value = [...droppedFiles.value, ...read];
}

export function DropZone() {
  useEffect(() => {
    const holdsFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files');
    const over = (event: DragEvent) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      dragging.value = true;
    };
    const leave = (event: DragEvent) => {
      if (!event.relatedTarget) dragging.value = false;
    };
    const drop = (event: DragEvent) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      dragging.value = false;
      void readTextFiles([...event.dataTransfer!.files]);
    };
    addEventListener('dragover', over);
    addEventListener('dragleave', leave);
    addEventListener('drop', drop);
    return () => {
      removeEventListener('dragover', over);
      removeEventListener('dragleave', leave);
      removeEventListener('drop', drop);
    };
  }, []);
  return dragging.value ? <div class="drop-zone"><span>{t('dropHere')}</span></div> : null;
}
