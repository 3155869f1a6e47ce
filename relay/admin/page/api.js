// How does the page talk to the relay? With the token in a header, kept for this tab only; the
// live numbers come as server-sent events over fetch(), so that no URL ever holds the token.
const KEY = 'sluice-token';
const SILENCE_MS = 20_000;  // the relay beats every 5 s at least

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const token = {
  get: () => sessionStorage.getItem(KEY) || '',
  set: (value) => sessionStorage.setItem(KEY, value),
  forget: () => sessionStorage.removeItem(KEY),
};

function headers(more) {
  const value = token.get();
  return value ? {...more, Authorization: `Bearer ${value}`} : {...more};
}

async function errorOf(response) {
  let what = response.statusText || 'refused';
  try {
    what = (await response.json()).error || what;
  } catch { /* not JSON: a proxy's own page */ }
  return new ApiError(response.status, what);
}

async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(`api/v1/${path}`, {credentials: 'omit', cache: 'no-store', ...options});
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError(0, 'the relay does not answer');
  }
  if (response.ok) return response;
  const error = await errorOf(response);
  if (error.status === 401) dispatchEvent(new CustomEvent('token-needed'));
  throw error;
}

function query(parameters) {
  const given = Object.entries(parameters || {}).filter(([, value]) => value !== '' && value != null);
  return given.length ? '?' + new URLSearchParams(given) : '';
}

export const path = (...segments) => segments.map(encodeURIComponent).join('/');

export async function get(where, parameters, signal) {
  return (await call(where + query(parameters), {headers: headers(), signal})).json();
}

export async function post(where, body) {
  const response = await call(where, {
    method: 'POST',
    headers: headers({'Content-Type': 'application/json'}),
    body: JSON.stringify(body),
  });
  return response.json();
}

// The message as a file of the browser's: a link could not carry the token.
export async function download(where, name) {
  const blob = await (await call(where, {headers: headers()})).blob();
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// Events out of the text of a stream, as it comes in pieces.
export class EventParser {
  constructor(onEvent) {
    this.onEvent = onEvent;
    this.rest = '';
  }

  feed(text) {
    this.rest += text;
    const blocks = this.rest.split('\n\n');
    this.rest = blocks.pop();
    for (const block of blocks) {
      let kind = 'message';
      const data = [];
      for (const line of block.split('\n')) {
        if (line.startsWith('event:')) kind = line.slice(6).trim();
        if (line.startsWith('data:')) data.push(line.slice(5).trimStart());
      }
      if (data.length) this.onEvent(kind, data.join('\n'));
    }
  }
}

// One stream, read to its end; throws if it cannot be had.
async function readStream(parameters, onSample, signal) {
  const silence = new AbortController();
  let timer = 0;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE_MS);
  };
  const stop = () => silence.abort();
  signal.addEventListener('abort', stop);
  try {
    heard();
    const response = await call('stream' + query(parameters), {headers: headers(), signal: silence.signal});
    const parser = new EventParser((kind, data) => {
      if (kind === 'sample') onSample(JSON.parse(data));
    });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const {done, value} = await reader.read();
      if (done) return;
      heard();
      parser.feed(value);
    }
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}

// Follows the relay until `signal` ends it: onSample(sample), onState('live' | 'slow' | 'lost').
export async function follow(onSample, onState, signal) {
  const pause = (ms) => new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, {once: true});
  });
  let wait = 1000;
  let asked = {};
  while (!signal.aborted) {
    let began = false;
    try {
      await readStream(asked, (sample) => {
        if (signal.aborted) return;
        if (!began) onState(asked.samples ? 'slow' : 'live');
        began = true;
        wait = 1000;
        onSample(sample);
      }, signal);
      await pause(asked.samples ? 5000 : 100);
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 401) return;
      if (error.status === 503 && !asked.samples) {
        asked = {samples: 1};  // enough others watch: ask now and then instead
        continue;
      }
      onState('lost', error.message);
      await pause(wait);
      wait = Math.min(wait * 2, 15_000);
      asked = {};
    }
  }
}
