// Where is this message? Search in the queue, and among what has left where it is tracked.
import {h, fill, foreign, setText, Table} from './dom.js';
import {get} from './api.js';
import {messageButtons} from './act.js';
import {chip} from './destinations.js';
import {ageOf, ago, bytes, clock, number, plural, shortSpan, until} from './words.js';

const PAGE = 50;
const ID = /^[0-9a-hjkmnp-tv-z]{26}$/;

// Is tracking there? Asked once; false where the relay has none or it is off.
let tracking = null;
export async function hasTracking() {
  if (tracking === null) {
    tracking = get('tracking', {limit: 1}).then(() => true).catch((error) => {
      if (error.status === 401 || error.status === 0) tracking = null;
      return false;
    });
  }
  return tracking;
}

const recipients = (message) => {
  const [first, ...others] = message.recipients;
  return [foreign(first?.recipient || ''), others.length ? h('span', {class: 'note'}, ` and ${number(others.length)} more`) : null];
};

const lastReply = (message) => message.recipients.find((recipient) => recipient.last_reply)?.last_reply || '';

export function messageTable(caption, empty) {
  return new Table([
    {label: 'Message', class: 'wide', sign: (message) => `${message.id}|${lastReply(message)}`, cell: (message) => [
      h('a', {href: `#/message/${encodeURIComponent(message.id)}`, class: 'name'}, foreign(message.sender), ' → ', recipients(message)),
      h('p', {class: 'why'}, h('code', {class: 'id'}, message.id), ' ', lastReply(message) ? foreign(lastReply(message), 'cite') : null)]},
    {label: 'State', class: 'state', cell: (message) => chip(message.state), sign: (message) => message.state},
    {label: 'Accepted', class: 'count', sign: (message) => ago(message.received),
      cell: (message) => h('span', {title: clock(message.received)}, shortSpan(Math.round(ageOf(message.received))), ' ago')},
    {label: 'Size', class: 'count', sign: (message) => message.size, cell: (message) => bytes(message.size)},
    {label: 'Attempts', class: 'count', sign: (message) => message.attempts,
      cell: (message) => h('span', {class: message.attempts ? '' : 'zero'}, number(message.attempts))},
    {label: 'Next attempt', class: 'count', sign: (message) => until(message.next_attempt),
      cell: (message) => h('span', {class: message.next_attempt ? '' : 'zero', title: clock(message.next_attempt)}, until(message.next_attempt))},
  ], {caption, empty, key: (message) => message.id});
}

const field = (label, control) => h('label', {}, label, control);

const input = (name, value, hint) =>
  h('input', {type: 'search', name, value, placeholder: hint, autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false'});

const select = (name, value, options) =>
  h('select', {name}, options.map(([key, words]) => h('option', {value: key, selected: key === value}, words)));

const AGES = ['5m', '30m', '1h', '4h', '1d', '2d'];

export class Messages {
  constructor(parameters, navigate) {
    this.parameters = Object.fromEntries(parameters);
    this.navigate = navigate;
    this.cursors = [''];
    this.table = messageTable('Messages found', 'No message matches.');
    this.summary = h('p', {class: 'note', role: 'status'});
    this.pager = h('nav', {class: 'pager', 'aria-label': 'Pages of the list'});
    this.actions = h('div', {class: 'buttons start'});
    this.form = h('form', {class: 'filters', role: 'search', onsubmit: (event) => { event.preventDefault(); this.submit(); }});
    this.element = h('div', {}, h('div', {class: 'head'}, h('h1', {}, 'Messages'), h('p', {class: 'detail'}, 'Every field that is filled in must match.')),
      h('section', {class: 'panel', 'aria-label': 'Search'}, this.form, this.actions, this.summary, this.table.element, this.pager));
    this.makeForm(false);
  }

  get everywhere() {
    return this.parameters.where === 'all' && this.tracked;
  }

  makeForm(tracked) {
    const p = this.parameters;
    const all = tracked && p.where === 'all';
    fill(this.form,
      tracked ? field('Where', select('where', p.where, [['queue', 'in the queue'], ['all', 'also what has left']])) : null,
      field('Id' + (tracked ? ' or Message-ID' : ''), input('id', p.id || '', tracked ? 'id or <message-id>' : 'id of the queue')),
      field('Recipient', input('recipient', p.recipient || '', 'b@example.net')),
      field('Sender', input('sender', p.sender || '', 'a@example.com or <>')),
      field('Destination', input('destination', p.destination || '', 'example.net')),
      all ? field('Accepted within', select('since', p.since || '', [['', 'any time'], ...AGES.map((age) => [age, inWords(age)])]))
        : field('State', select('state', p.state || '', [['', 'any'], ['ready', 'ready'], ['active', 'active'], ['deferred', 'deferred'], ['held', 'held']])),
      all ? null : field('Older than', select('older_than', p.older_than || '', [['', 'any age'], ...AGES.map((age) => [age, inWords(age)])])),
      h('button', {type: 'submit'}, 'Find'));
    const where = this.form.elements.where;
    if (where) where.addEventListener('change', () => this.submit());
  }

  submit() {
    const filled = [...new FormData(this.form)].map(([name, value]) => [name, value.trim()])
      .filter(([name, value]) => value && !(name === 'where' && value === 'queue'));
    const id = this.form.elements.id.value.trim().toLowerCase();
    if (ID.test(id)) return this.navigate(`#/message/${id}`);
    this.navigate(`#/messages${filled.length ? '?' + new URLSearchParams(filled) : ''}`, true);
  }

  filters() {
    const names = this.everywhere ? ['recipient', 'sender', 'destination', 'since'] : ['recipient', 'sender', 'destination', 'state', 'older_than'];
    const given = Object.fromEntries(names.filter((name) => this.parameters[name]).map((name) => [name, this.parameters[name]]));
    if (this.everywhere && this.parameters.id) given.message_id = this.parameters.id;
    return given;
  }

  async load(signal) {
    if (this.tracked === undefined) {
      this.tracked = await hasTracking();
      if (this.tracked) {
        if (this.parameters.id) this.parameters.where = 'all';  // the queue knows no Message-ID
        this.makeForm(true);
      }
    }
    if (this.parameters.id && !this.everywhere) {
      setText(this.summary, 'An id of the queue has 26 letters and digits; a Message-ID is found only where messages are tracked.');
      return this.table.show([]);
    }
    const filters = this.filters();
    const page = await get(this.everywhere ? 'tracking' : 'messages', {...filters, limit: PAGE, cursor: this.cursors.at(-1)}, signal);
    this.table.show(page.items);
    const from = (this.cursors.length - 1) * PAGE;
    setText(this.summary, page.items.length === 0 ? (page.next ? 'None on this page; there is more.' : '')
      : `${this.everywhere ? 'The newest first' : 'The oldest first'}: ${page.next || from > 0 ? `number ${number(from + 1)} to ${number(from + page.items.length)}` : plural(page.items.length, 'message')}`);
    this.showPager(page.next);
    this.showActions(filters, page.items.length > 0);
  }

  // For what was chosen only: nobody means the whole queue by not having chosen.
  showActions(filters, any) {
    const names = any && !this.everywhere && Object.keys(filters).length ? ['retry', 'hold', 'release', 'bounce', 'discard'] : [];
    if (this.actions.dataset.names === names.join()) return;
    this.actions.dataset.names = names.join();
    fill(this.actions, names.length ? [h('span', {class: 'note'}, 'All that match:'), messageButtons(names, () => filters, () => this.load())] : null);
  }

  showPager(next) {
    const turn = (words, possible, change) => h('button', {type: 'button', disabled: !possible,
      onclick: () => { change(); this.load().then(() => this.table.element.scrollIntoView({block: 'nearest'})); }}, words);
    if (!next && this.cursors.length === 1) return fill(this.pager);
    fill(this.pager, turn('Back', this.cursors.length > 1, () => this.cursors.pop()),
      turn('More', Boolean(next), () => this.cursors.push(next)));
  }
}

function inWords(age) {
  const units = {m: 'minute', h: 'hour', d: 'day'};
  return plural(Number(age.slice(0, -1)), units[age.at(-1)]);
}
