// Which destinations are there, and what hurts? A page of a list that the relay sorts.
import {h, fill, foreign, setText, Table} from './dom.js';
import {get} from './api.js';
import {ageOf, clock, moods, number, plural, rate, shortSpan, until, whyItWaits} from './words.js';

const PAGE = 100;
const SORTS = [
  ['hurt', 'what hurts most'], ['oldest', 'the oldest mail'], ['waiting', 'the most waiting'],
  ['growing', 'the fastest growing'], ['name', 'name'],
];

export const chip = (state) => h('span', {class: `chip ${moods[state] || 'still'}`}, state);

export const linkTo = (name) => `#/destination/${encodeURIComponent(name)}`;

// Out minus in, a minute: what shrinks is above zero.
export function velocity(queue) {
  if (!Number.isFinite(queue.velocity)) return {text: '–', mood: '', says: 'not known yet'};
  const minute = queue.velocity * 60;
  if (Math.abs(minute) < 0.5) return {text: '0', mood: '', says: 'neither grows nor shrinks'};
  const text = rate(Math.abs(minute));
  return minute > 0 ? {text: `↓ ${text}`, mood: 'good', says: `shrinks by ${text} a minute`}
    : {text: `↑ ${text}`, mood: 'bad', says: `grows by ${text} a minute`};
}

function nameCell(queue) {
  const why = whyItWaits(queue);
  return [
    h('a', {href: linkTo(queue.destination), class: 'name'}, foreign(queue.destination)),
    h('p', {class: 'why'}, h('span', {class: 'says'}, why.say), ' ', why.cite ? foreign(why.cite, 'cite') : null),
  ];
}

const whySign = (queue) => {
  const why = whyItWaits(queue);
  return `${queue.destination}|${why.say}|${why.cite}`;
};

const count = (name, label, title) => ({
  name, label, class: 'count', sign: (queue) => queue[name],
  cell: (queue) => h('span', {class: queue[name] ? '' : 'zero', title}, number(queue[name])),
});

export function destinationTable(caption, empty) {
  return new Table([
    {name: 'destination', label: 'Destination', class: 'wide', cell: nameCell, sign: whySign},
    {name: 'state', label: 'State', class: 'state', cell: (queue) => chip(queue.state), sign: (queue) => queue.state},
    count('ready', 'Ready', 'recipients that could go now'),
    count('deferred', 'Deferred', 'recipients that wait for their next attempt'),
    count('held', 'Held', 'recipients held by hand'),
    {name: 'oldest', label: 'Oldest', class: 'count',
      sign: (queue) => (queue.oldest ? shortSpan(Math.round(ageOf(queue.oldest))) : ''),
      cell: (queue) => h('span', {title: clock(queue.oldest)}, queue.oldest ? shortSpan(Math.round(ageOf(queue.oldest))) : '–')},
    {name: 'velocity', label: 'Per minute', class: 'count', sign: (queue) => velocity(queue).text,
      cell: (queue) => {
        const way = velocity(queue);
        return h('span', {class: `way ${way.mood || 'zero'}`, title: way.says}, way.text);
      }},
    count('connections', 'Connections', 'open connections'),
    {name: 'next', label: 'Next attempt', class: 'count', sign: (queue) => until(queue.next_attempt),
      cell: (queue) => h('span', {class: queue.next_attempt ? '' : 'zero', title: clock(queue.next_attempt)}, until(queue.next_attempt))},
  ], {caption, empty, key: (queue) => queue.destination});
}

export class Destinations {
  constructor(parameters, navigate) {
    this.sort = parameters.get('sort') || 'hurt';
    this.match = parameters.get('match') || '';
    this.offset = Number(parameters.get('from')) || 0;
    this.navigate = navigate;
    this.table = destinationTable('Destinations', this.match ? 'No destination has that in its name.' : 'No mail waits, and no smart host is set.');
    this.summary = h('p', {class: 'note', role: 'status'});
    this.pager = h('nav', {class: 'pager', 'aria-label': 'Pages of the list'});
    const search = h('input', {type: 'search', name: 'match', value: this.match, placeholder: 'part of a name', autocomplete: 'off', spellcheck: 'false'});
    const sort = h('select', {name: 'sort', onchange: () => this.go(search.value, sort.value, 0)},
      SORTS.map(([value, words]) => h('option', {value, selected: value === this.sort}, words)));
    this.element = h('div', {},
      h('div', {class: 'head'}, h('h1', {}, 'Destinations'),
        h('p', {class: 'detail'}, 'A destination is the set of hosts that mail goes to.')),
      h('section', {class: 'panel', 'aria-label': 'List of destinations'},
        h('form', {class: 'filters', role: 'search', onsubmit: (event) => { event.preventDefault(); this.go(search.value, sort.value, 0); }},
          h('label', {}, 'Name', search), h('label', {}, 'First', sort), h('button', {type: 'submit'}, 'Find')),
        this.summary, this.table.element, this.pager));
  }

  go(match, sort, from) {
    const parameters = new URLSearchParams();
    if (match) parameters.set('match', match);
    if (sort !== 'hurt') parameters.set('sort', sort);
    if (from) parameters.set('from', from);
    this.navigate(`#/destinations${parameters.size ? '?' + parameters : ''}`);
  }

  async load(signal) {
    const answer = await get('queues', {sort: this.sort, match: this.match, limit: PAGE, cursor: this.offset || ''}, signal);
    // While somebody points at a row or is in it, the rows stay where they are.
    const held = this.table.element.matches(':hover, :focus-within') && this.table.rows.size > 0;
    const items = held ? this.inPlace(answer.items) : answer.items;
    this.table.show(items);
    const last = this.offset + answer.items.length;
    setText(this.summary, answer.items.length === 0 ? ''
      : `${number(this.offset + 1)} to ${number(last)} of ${plural(answer.total, 'destination')}`);
    this.showPager(answer.total, last);
  }

  inPlace(items) {
    const fresh = new Map(items.map((item) => [item.destination, item]));
    const kept = [...this.table.rows.keys()].filter((name) => fresh.has(name)).map((name) => fresh.get(name));
    return [...kept, ...items.filter((item) => !this.table.rows.has(item.destination))];
  }

  showPager(total, last) {
    const sign = `${total > PAGE}|${this.offset}|${last < total}`;
    if (this.pager.dataset.sign === sign) return;
    this.pager.dataset.sign = sign;
    if (total <= PAGE) return fill(this.pager);
    const turn = (words, from, possible) =>
      h('button', {type: 'button', disabled: !possible, onclick: () => this.go(this.match, this.sort, from)}, words);
    fill(this.pager, turn('Earlier', Math.max(0, this.offset - PAGE), this.offset > 0), turn('Later', this.offset + PAGE, last < total));
  }

  update() {
    return this.load();
  }
}


