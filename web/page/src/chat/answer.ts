import { signal } from '@preact/signals';
import { addNode, conversations, current, makeNode, nodes, saveNode } from '../state/conversations';
import { pathTo } from '../state/tree';
import type { ChatNode } from '../types';
import { complete, type Run } from './completion';
import { enabledTools, resultOf } from './tools';

export const runs = signal<ReadonlyMap<string, Run>>(new Map()); // by conversation

const maxToolRounds = 8;

export function stop(conversation: string): void {
  runs.value.get(conversation)?.abort.abort();
}

function setRun(conversation: string, run: Run | undefined): void {
  const changed = new Map(runs.value);
  if (run) changed.set(conversation, run);
  else changed.delete(conversation);
  runs.value = changed;
}

// Answers after the message `parent`; tool calls that the page can answer are answered and the model goes on.
export async function answerAfter(parent: ChatNode): Promise<void> {
  await converse(makeNode({ parent: parent.id, role: 'assistant', content: '' }), [...pathTo(nodes.value, parent.id)]);
}

// Goes on where an answer was cut off: by max_tokens, by the user, or by a server that went away.
export async function continueAnswer(node: ChatNode): Promise<void> {
  await converse({ ...node, finish: undefined, error: undefined }, [...pathTo(nodes.value, node.parent)]);
}

async function converse(start: ChatNode, path: ChatNode[]): Promise<void> {
  const { conversation } = start;
  if (runs.value.has(conversation)) return;
  const { settings } = current.value;
  const run: Run = { node: signal(start), waiting: signal(undefined), abort: new AbortController() };
  addNode(start);
  setRun(conversation, run);
  try {
    for (let round = 0; ; ++round) {
      const answer = await complete(run, path, settings);
      path.push(answer);
      if (round >= maxToolRounds || !answer.toolCalls?.length || answer.error || run.abort.signal.aborted) return;
      const results = answerTools(answer);
      if (!results) return;
      path.push(...results);
      run.node.value = makeNode({ parent: results[results.length - 1].id, role: 'assistant', content: '', conversation });
      addNode(run.node.value);
    }
  } finally {
    setRun(conversation, undefined);
  }
}

// The results of all calls, one message after the other; undefined where the user has to give one.
function answerTools(answer: ChatNode): ChatNode[] | undefined {
  const results: ChatNode[] = [];
  let parent = answer.id;
  for (const toolCall of answer.toolCalls ?? []) {
    const content = resultOf(toolCall, enabledTools.value);
    if (content === undefined) return undefined;
    const { conversation } = answer;
    const node = makeNode({ parent, role: 'tool', content, toolCallId: toolCall.id, toolName: toolCall.name, conversation });
    results.push(node);
    parent = node.id;
  }
  results.forEach(addNode);
  return results;
}

// Results that the user has given: after the last one the model goes on.
export async function giveResults(answer: ChatNode, texts: string[]): Promise<void> {
  let parent = answer;
  (answer.toolCalls ?? []).forEach((toolCall, i) => {
    parent = makeNode({ parent: parent.id, role: 'tool', content: texts[i], toolCallId: toolCall.id, toolName: toolCall.name });
    addNode(parent);
  });
  await answerAfter(parent);
}

// A page that is closed or reloaded keeps what had come.
addEventListener('pagehide', () => {
  for (const run of runs.value.values())
    if (conversations.value.some((each) => each.id === run.node.value.conversation)) saveNode(run.node.value);
});
