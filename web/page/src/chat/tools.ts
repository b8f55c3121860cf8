import { computed } from '@preact/signals';
import { builtInTools, hiddenBuiltIns, ownTools } from '../state/preferences';
import type { ToolCall, ToolDefinition } from '../types';

export const allTools = computed<ToolDefinition[]>(() => [
  ...builtInTools.map((tool) => ({ ...tool, enabled: !hiddenBuiltIns.value.includes(tool.name) })),
  ...ownTools.value,
]);
export const enabledTools = computed(() => allTools.value.filter((tool) => tool.enabled));

const arithmetic: Record<string, (a: number, b: number) => number> = {
  add: (a, b) => a + b,
  mul: (a, b) => a * b,
};

function filledIn(template: string, values: Record<string, unknown>): string {
  return template.replace(/\{\{\s*(\w+)\s*\}\}/g, (whole, name: string) => {
    const value = values[name];
    return value === undefined ? whole : typeof value === 'string' ? value : JSON.stringify(value);
  });
}

// What the page itself can say to a call; undefined: the user is asked.
export function resultOf(call: ToolCall, tools: ToolDefinition[]): string | undefined {
  const tool = tools.find((each) => each.name === call.name);
  if (!tool) return `error: there is no tool named ${call.name}`;
  let values: Record<string, unknown>;
  try {
    values = JSON.parse(call.arguments || '{}');
  } catch {
    return `error: the arguments are not JSON: ${call.arguments}`;
  }
  const compute = builtInTools.some((each) => each.name === tool.name) ? arithmetic[tool.name] : undefined;
  if (!compute) return tool.answer.trim() ? filledIn(tool.answer, values) : undefined;
  const [a, b] = [Number(values.a), Number(values.b)];
  return Number.isFinite(a) && Number.isFinite(b) ? String(compute(a, b)) : 'error: expected two numbers, a and b';
}
