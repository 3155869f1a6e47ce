// How are numbers, times and states said in words?
import {visible} from './dom.js';

const whole = new Intl.NumberFormat('en');

export const number = (value) => (Number.isFinite(value) ? whole.format(Math.round(value)) : '–');

// 0.04, 3.2, 47, 1,204
export function rate(value) {
  if (!Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (size === 0) return '0';
  if (size < 0.01) return '<0.01';
  if (size < 1) return value.toFixed(2).replace(/0$/, '');
  if (size < 10) return value.toFixed(1).replace(/\.0$/, '');
  return number(value);
}

export const plural = (count, one, many = one + 's') => `${number(count)} ${count === 1 ? one : many}`;

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
export function bytes(value) {
  if (!Number.isFinite(value)) return '–';
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    ++unit;
  }
  return `${unit === 0 || value >= 100 ? number(value) : value.toFixed(1)} ${units[unit]}`;
}

// 350 µs, 12 ms, 1.4 s, 3 min 20 s, 5 h 2 min, 2 d 4 h
export function span(seconds) {
  if (!Number.isFinite(seconds)) return '–';
  const s = Math.abs(seconds);
  if (s === 0) return '0 s';
  if (s < 0.001) return `${number(s * 1e6)} µs`;
  if (s < 1) return `${number(s * 1e3)} ms`;
  if (s < 10) return `${s.toFixed(1).replace(/\.0$/, '')} s`;
  if (s < 60) return `${Math.floor(s)} s`;
  const two = (big, name, small, smaller) =>
    `${number(big)} ${name}` + (small >= 1 ? ` ${Math.floor(small)} ${smaller}` : '');
  if (s < 3600) return two(Math.floor(s / 60), 'min', s % 60, 's');
  if (s < 86400) return two(Math.floor(s / 3600), 'h', (s % 3600) / 60, 'min');
  return two(Math.floor(s / 86400), 'd', (s % 86400) / 3600, 'h');
}

// The larger unit only, for lists: 3 min, 5 h, 2 d
export const shortSpan = (seconds) =>
  (Number.isFinite(seconds) && seconds >= 60 ? span(seconds).split(' ').slice(0, 2).join(' ') : span(seconds));

// What the relay's clock says: ages are right although this machine's clock may be wrong.
let ahead = 0;
export function setClock(time) {
  ahead = Date.parse(time) - Date.now();
}
export const now = () => Date.now() + ahead;
export const ageOf = (time) => (time ? Math.max(0, (now() - Date.parse(time)) / 1000) : NaN);

// 2026-11-24 08:21:32
export const clock = (time) => (time ? String(time).slice(0, 19).replace('T', ' ') : '–');

export function until(time) {
  if (!time) return '–';
  const left = (Date.parse(time) - now()) / 1000;
  return left <= 0.5 ? 'now' : `in ${shortSpan(Math.max(1, Math.round(left)))}`;
}

export const ago = (time) => (time ? `${shortSpan(Math.round(ageOf(time)))} ago` : '–');

// Colour and word of a state. A state is always said as well: colour alone tells nothing.
export const moods = {
  idle: 'still', resolving: 'busy', connecting: 'busy', delivering: 'good', limited: 'warn',
  resting: 'bad', suspended: 'warn', ready: 'busy', active: 'good', deferred: 'warn', held: 'still',
  delivered: 'good', bounced: 'bad', expired: 'bad', discarded: 'bad', accepted: 'busy', queued: 'busy',
};

export const waiting = (queue) => queue.ready + queue.deferred;
export const depth = (queue) => queue.ready + queue.active + queue.deferred + queue.held;

// Why does this destination wait? {say: a sentence, cite: what its hosts said}. The relay's own
// reason where it gives one.
export function whyItWaits(queue) {
  const cite = queue.last_reply || '';
  const given = queue.why?.text || '';
  if (given) {
    const what = {retry: 'The next attempt comes', hosts_rest: 'Tried again', dns: 'Asked again'}[queue.why.cause];
    const ends = queue.why.until ? ` ${what || 'Ends by itself'} ${until(queue.why.until)}.` : '';
    return {say: visible(given) + ends, cite: cite && given.includes(cite) ? '' : cite};
  }
  switch (queue.state) {
    case 'suspended':
      return {say: 'Suspended by hand: nothing is tried until it is resumed.', cite};
    case 'resting':
      return {say: `Its hosts rest and are tried again ${until(queue.next_attempt)}.`, cite};
    case 'limited':
      return {say: 'Its rate or connection limit is reached; the rest waits its turn.', cite};
    case 'resolving':
      return {say: 'Its hosts are being looked up in the DNS.', cite};
    case 'connecting':
      return {say: 'A connection to it is being made.', cite};
    default:
      return {say: whyRecipientsWait(queue), cite: queue.deferred > 0 ? cite : ''};
  }
}

function whyRecipientsWait(queue) {
  if (queue.ready > 0 && queue.velocity > 0) {
    return `Is being delivered; at this pace the rest is gone in ${shortSpan(waiting(queue) / queue.velocity)}.`;
  }
  if (queue.ready > 0 && queue.state === 'delivering') {
    return `Is being delivered over ${plural(queue.connections, 'connection')}.`;
  }
  if (queue.ready > 0) return 'Ready to go: waits for a connection.';
  if (queue.deferred > 0) {
    return `Deferred after a temporary failure; the next attempt comes ${until(queue.next_attempt)}.`;
  }
  if (queue.held > 0) return 'Held by hand until it is released.';
  return queue.active > 0 ? 'Is being delivered.' : 'Nothing waits.';
}

// Replies that differ only in ids, times and addresses count as one.
export function replyKind(reply) {
  return reply.replace(/^\S+ (?=(?:\[[^\]]*\]|\S+) said: )/, '').replace(/^\[[^\]]*\](?::\d+)? said: /, '')
    .replace(/\b(?=[\w-]*\d)[\w-]{9,}\b/g, '…').replace(/\[[0-9a-f.:]+\]/gi, '[…]');
}
