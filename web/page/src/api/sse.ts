// Server-sent events out of a body that arrives in pieces: the `data` of each event.
export class SseParser {
  private decoder = new TextDecoder();
  private rest = '';

  push(bytes: Uint8Array): string[] {
    this.rest += this.decoder.decode(bytes, { stream: true });
    const events: string[] = [];
    for (;;) {
      const end = /\r\n\r\n|\n\n|\r\r/.exec(this.rest);
      if (!end) return events;
      const data = dataOf(this.rest.slice(0, end.index));
      if (data !== undefined) events.push(data);
      this.rest = this.rest.slice(end.index + end[0].length);
    }
  }
}

function dataOf(event: string): string | undefined {
  const lines = event.split(/\r\n|\n|\r/).filter((line) => line.startsWith('data:'));
  return lines.length ? lines.map((line) => line.slice(line[5] === ' ' ? 6 : 5)).join('\n') : undefined;
}
