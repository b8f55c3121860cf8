import { beforeAll, expect, test } from 'vitest';
import { stubBrowser } from './browser';

beforeAll(stubBrowser);

test('results of calls', async () => {
  const { allTools, resultOf } = await import('../src/chat/tools');
  const own = { name: 'weather', description: '', parameters: '{}', answer: '{{ city }}: {{n}} {{gone}}', enabled: true };
  const tools = [...allTools.value, own, { ...own, name: 'ask', answer: ' ' }];
  const result = (name: string, args: string) => resultOf({ id: '', name, arguments: args }, tools);
  expect(result('add', '{"a": 3, "b": 5}')).toBe('8');
  expect(result('mul', '{"a": "1.5", "b": 2}')).toBe('3');
  expect(result('add', '{"a": 3}')).toContain('error');
  expect(result('add', '{')).toContain('error');
  expect(result('weather', '{"city": "$& Rome", "n": [1]}')).toBe('$& Rome: [1] {{gone}}');
  expect(result('ask', '{}')).toBeUndefined();
  expect(result('nobody', '{}')).toContain('error');
});
