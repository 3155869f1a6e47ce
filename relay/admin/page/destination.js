// Why does this destination wait, and what can be done? One destination.
import {h, fill, foreign, setText} from './dom.js';
import {get, path} from './api.js';
import {Chart} from './chart.js';
import {destinationButtons, messageButtons} from './act.js';
import {chip, velocity} from './destinations.js';
import {messageTable} from './messages.js';
import {ageOf, clock, depth, number, plural, replyKind, span, until, whyItWaits} from './words.js';

const LOOKED_AT = 1000;  // messages whose replies are counted
const LISTED = 20;
const LIST_AGAIN_MS = 10_000;

const fact = (term, value) => h('div', {}, h('dt', {}, term), value);

export class Destination {
  constructor(name) {
    this.name = name;
    this.points = [];
    this.count = undefined;  // recipients when the messages were listed
    this.listed = 0;
    this.state = h('span', {});
    this.say = h('p', {class: 'say'});
    this.cite = h('p', {class: 'cite-line'});
    this.when = h('p', {class: 'note'});
    this.actions = h('div', {class: 'buttons start'});
    this.values = Object.fromEntries(['ready', 'active', 'deferred', 'held', 'oldest', 'velocity', 'connections', 'limits', 'next', 'connector']
      .map((key) => [key, h('dd', {}, '–')]));
    this.chart = new Chart([{name: 'depth', class: 'one'}], {height: 64, grid: true});
    this.replies = h('div', {});
    this.messages = messageTable('The oldest messages for it', 'No message waits for it.');
    this.element = h('div', {},
      h('div', {class: 'head'}, h('p', {class: 'crumb'}, h('a', {href: '#/destinations'}, 'Destinations')),
        h('h1', {}, foreign(name), ' ', this.state)),
      h('section', {class: 'panel', 'aria-label': 'Why it waits'}, h('h2', {}, 'Why it waits'),
        this.say, this.cite, this.when, this.actions),
      h('div', {class: 'two'},
        h('section', {class: 'panel', 'aria-label': 'Numbers'}, h('h2', {}, 'Numbers'),
          h('dl', {class: 'facts'}, fact('Ready', this.values.ready), fact('Active', this.values.active),
            fact('Deferred', this.values.deferred), fact('Held', this.values.held), fact('Oldest', this.values.oldest),
            fact('Change a minute', this.values.velocity), fact('Connections', this.values.connections),
            fact('Limits in force', this.values.limits), fact('Next attempt', this.values.next), fact('Leaves by', this.values.connector)),
          h('h3', {}, 'Recipients queued since this page was opened'), this.chart.element),
        h('section', {class: 'panel', 'aria-label': 'Last replies'}, h('h2', {}, 'Last replies'), this.replies)),
      h('section', {class: 'panel', 'aria-label': 'Messages'},
        h('div', {class: 'panel-head'}, h('h2', {}, 'The oldest messages'),
          h('a', {href: `#/messages?destination=${encodeURIComponent(name)}`}, 'Search among them')),
        h('div', {class: 'buttons start'}, messageButtons(['hold', 'release', 'bounce', 'discard'], () => ({destination: name}), () => this.load())),
        this.messages.element));
  }

  async load(signal) {
    await Promise.all([this.update(signal), this.loadMessages(signal)]);
  }

  async loadMessages(signal) {
    const page = await get('messages', {destination: this.name, limit: LOOKED_AT}, signal);
    this.listed = Date.now();
    this.messages.show(page.items.slice(0, LISTED));
    this.showReplies(page);
  }

  async update(signal) {
    const queue = await this.ask(signal);
    this.follow(depth(queue), signal);
    const why = whyItWaits(queue);
    if (this.state.textContent !== queue.state) fill(this.state, chip(queue.state));
    setText(this.say, why.say);
    if (this.cite.dataset.text !== why.cite) {
      this.cite.dataset.text = why.cite || '';
      fill(this.cite, why.cite ? [h('span', {class: 'note'}, 'The last reply: '), foreign(why.cite, 'cite')] : null);
    }
    this.showWhen(queue.why);
    this.showActions(queue);
    this.showNumbers(queue);
  }

  // A destination is forgotten when its last message has left.
  async ask(signal) {
    try {
      return await get(path('queues', this.name), {}, signal);
    } catch (error) {
      if (error.status !== 404) throw error;
      return {destination: this.name, state: 'idle', ready: 0, active: 0, deferred: 0, held: 0, connections: 0};
    }
  }

  // The messages are dearer than the numbers: they are asked for again when these have changed, and
  // seldom.
  follow(count, signal) {
    const seldom = Date.now() - this.listed > LIST_AGAIN_MS;
    if (this.count !== undefined && this.count !== count && (seldom || count === 0)) this.loadMessages(signal).catch(() => {});
    if (this.count === undefined || seldom || count === 0) this.count = count;
  }

  showWhen(why) {
    const parts = [];
    if (why?.since) parts.push(`since ${clock(why.since)} (${span(Math.round(ageOf(why.since)))})`);
    if (why?.until) parts.push(`until ${clock(why.until)} (${until(why.until)})`);
    const sign = `${parts.join(', ')}|${why?.command || ''}`;
    if (this.when.dataset.sign === sign) return;
    this.when.dataset.sign = sign;
    fill(this.when, parts.join(', '), parts.length && why?.command ? ' · ' : '',
      why?.command ? ['changed by ', h('code', {}, foreign(why.command))] : null);
  }

  showActions(queue) {
    const names = ['retry', queue.state === 'suspended' ? 'resume' : 'suspend'];
    if (this.actions.dataset.names === names.join()) return;
    this.actions.dataset.names = names.join();
    fill(this.actions, destinationButtons(names, this.name, () => this.load()));
  }

  showNumbers(queue) {
    const {values} = this;
    for (const key of ['ready', 'active', 'deferred', 'held', 'connections']) setText(values[key], number(queue[key]));
    setText(values.oldest, queue.oldest ? `${span(Math.round(ageOf(queue.oldest)))}` : '–');
    values.oldest.title = clock(queue.oldest);
    setText(values.velocity, velocity(queue).says);
    setText(values.limits, limitsInWords(queue.limits));
    setText(values.next, until(queue.next_attempt));
    values.next.title = clock(queue.next_attempt);
    setText(values.connector, queue.connector || '–');
    this.points.push({time: Date.now(), depth: depth(queue)});
    if (this.points.length > 300) this.points.shift();
    this.chart.draw(this.points);
  }

  showReplies(page) {
    const kinds = new Map();
    let recipients = 0;
    for (const message of page.items) {
      for (const recipient of message.recipients) {
        if (recipient.destination !== this.name) continue;
        ++recipients;
        if (!recipient.last_reply) continue;
        const kind = replyKind(recipient.last_reply);
        const known = kinds.get(kind) || {count: 0, example: recipient.last_reply};
        ++known.count;
        kinds.set(kind, known);
      }
    }
    const sorted = [...kinds.values()].sort((a, b) => b.count - a.count).slice(0, 12);
    const scope = page.next ? `Of the oldest ${plural(page.items.length, 'message')}:` : `Of ${plural(recipients, 'recipient')}:`;
    fill(this.replies, sorted.length ? [h('p', {class: 'note'}, scope),
      h('ol', {class: 'replies'}, sorted.map((kind) => h('li', {}, h('b', {}, number(kind.count)), foreign(kind.example, 'cite'))))]
      : h('p', {class: 'empty'}, 'No attempt has failed for what waits here.'));
  }
}

function limitsInWords(limits) {
  if (!limits) return '–';
  return [`${plural(limits.max_connections, 'connection')}`, limits.rate ? `${limits.rate}` : 'no rate']
    .join(', ');
}
