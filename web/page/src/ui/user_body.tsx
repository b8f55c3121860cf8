import { number } from '../i18n';
import type { ChatNode } from '../types';
import { Icon } from './icons';

export function UserBody({ node }: { node: ChatNode }) {
  return (
    <>
      {node.files?.map((file, i) => (
        <details class="file" key={i}>
          <summary><Icon name="attach" />{file.name}<small>{number(file.text.length)}</small></summary>
          <pre tabindex={0}>{file.text}</pre>
        </details>
      ))}
      {node.content && <div class="bubble">{node.content}</div>}
    </>
  );
}
