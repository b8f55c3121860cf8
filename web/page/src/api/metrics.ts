// What the page shows of /metrics, in Prometheus' text format. vLLM's names do as well as ours.
export interface Sample {
  running: number;
  waiting: number;
  cacheUsage: number; // 0 to 1
}

export function parseMetrics(text: string): Sample | undefined {
  const sums = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^(?:lmdeploy|vllm):([a-z_]+)(?:\{.*\})? (\S+)/.exec(line);
    if (match) sums.set(match[1], (sums.get(match[1]) ?? 0) + Number(match[2]));
  }
  const running = sums.get('num_requests_running');
  if (running === undefined) return undefined;
  return { running, waiting: sums.get('num_requests_waiting') ?? 0, cacheUsage: sums.get('kv_cache_usage_perc') ?? 0 };
}
