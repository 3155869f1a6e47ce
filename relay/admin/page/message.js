// What became of this message? Its whole life as a time line.
import {h, fill, foreign} from './dom.js';
import {download, get, path, ApiError} from './api.js';
import {messageButtons} from './act.js';
import {chip, linkTo} from './destinations.js';
import {hasTracking} from './messages.js';
import {ageOf, bytes, clock, moods, number, plural, shortSpan, span, until} from './words.js';

const fact = (term, ...value) => h('div', {}, h('dt', {}, term), h('dd', {}, value));

const sentences = {
  accepted: 'Accepted', notice: 'A notice of our own', deferred: 'Deferred', delivered: 'Delivered', bounced: 'Bounced',
  expired: 'Expired', discarded: 'Discarded by hand', held: 'Held by hand', released: 'Released by hand', undone: 'Undone: it was never promised',
};

// One event: who, where, how, what was answered, and how long it took.
function eventItem(event, previous) {
  const facts = [
    event.mx ? ['host', foreign(event.mx)] : null,
    event.address ? ['address', foreign(event.address)] : null,
    event.mx || event.address ? ['TLS', event.tls ? foreign(event.tls) : 'none'] : null,
    event.attempts ? ['attempt', number(event.attempts)] : null,
    Number.isFinite(event.duration_s) ? ['took', span(event.duration_s)] : null,
    Number.isFinite(event.delay_s) && event.event !== 'accepted' ? ['since accepted', span(event.delay_s)] : null,
    event.connector ? ['connector', foreign(event.connector)] : null,
    event.user ? ['user', foreign(event.user)] : null,
    event.next_attempt ? ['next attempt', clock(event.next_attempt)] : null,
  ].filter(Boolean);
  const reply = [event.code, event.status, event.reply].filter(Boolean).join(' ');
  const people = event.recipients || (event.recipient ? [event.recipient] : []);
  const gap = previous ? (Date.parse(event.time) - Date.parse(previous.time)) / 1000 : 0;
  return h('li', {class: moods[event.event] || 'still'},
    h('p', {class: 'when'}, h('time', {datetime: event.time}, clock(event.time)), gap >= 1 ? h('span', {class: 'note'}, ` · ${shortSpan(Math.round(gap))} later`) : null),
    h('p', {class: 'what'}, h('b', {}, sentences[event.event] || event.event),
      people.length ? [' ', event.event === 'accepted' ? 'for ' : '', people.slice(0, 3).map((who, at) => [at ? ', ' : '', foreign(who)]), people.length > 3 ? ` and ${number(people.length - 3)} more` : ''] : null),
    reply ? h('p', {class: 'cite-line'}, foreign(reply, 'cite')) : null,
    facts.length ? h('dl', {class: 'inline'}, facts.map(([term, value]) => h('div', {}, h('dt', {}, term), h('dd', {}, value)))) : null);
}

// What the queue alone knows, as events.
function eventsOfQueue(message) {
  const events = [{time: message.received, event: 'accepted', connector: message.connector, address: message.client,
    recipients: message.recipients.map((recipient) => recipient.recipient)}];
  return events;
}

// What is still to come.
function futureItem(recipient) {
  const says = {
    ready: 'waits for a connection', active: 'is being delivered now', held: 'is held by hand until it is released',
    deferred: recipient.next_attempt ? `is tried again ${until(recipient.next_attempt)}, at ${clock(recipient.next_attempt)}` : 'is tried again',
  }[recipient.state];
  return h('li', {class: `future ${moods[recipient.state]}`},
    h('p', {class: 'what'}, h('b', {}, 'Now: '), foreign(recipient.recipient), ` ${says}.`),
    recipient.why?.text ? h('p', {}, foreign(recipient.why.text), recipient.why.command ? [' ', h('code', {}, foreign(recipient.why.command))] : null) : null,
    recipient.last_reply && !recipient.why?.text?.includes(recipient.last_reply) ? h('p', {class: 'cite-line'}, h('span', {class: 'note'}, `After ${plural(recipient.attempts, 'attempt')}: `), foreign(recipient.last_reply, 'cite')) : null);
}

export class Message {
  constructor(id) {
    this.id = id;
    this.body = h('div', {}, h('p', {class: 'note'}, 'Asking the relay …'));
    this.element = h('div', {}, h('div', {class: 'head'}, h('p', {class: 'crumb'}, h('a', {href: '#/messages'}, 'Messages')),
      h('h1', {}, 'Message ', h('code', {}, foreign(id)))), this.body);
  }

  async read(signal) {
    if (await hasTracking()) {
      const tracked = await get(path('tracking', this.id), {}, signal);
      return {...tracked, queue: tracked.queue, events: tracked.events || []};
    }
    const queued = await get(path('messages', this.id), {}, signal);
    return {...queued, queue: queued, events: eventsOfQueue(queued)};
  }

  async load(signal) {
    try {
      this.show(await this.read(signal));
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404) throw error;
      fill(this.body, h('section', {class: 'panel'}, h('h2', {}, 'It is not in the queue'),
        h('p', {}, 'It has left, or there never was one with this id. The log knows:'),
        h('p', {}, h('code', {}, `journalctl -u sluice -o cat | jq -c 'select(.id == "${this.id}")'`))));
    }
  }

  update() {
    return this.load();
  }

  show(message) {
    const sign = JSON.stringify([message.events.length, message.queue && message.queue.recipients, message.state]);
    if (this.sign === sign) return;
    this.sign = sign;
    const queued = message.queue;
    const target = () => ({ids: [this.id]});
    fill(this.body,
      h('section', {class: 'panel', 'aria-label': 'The message'},
        h('p', {class: 'route'}, chip(message.state), ' ', foreign(message.sender), ' → ', foreign(message.recipients[0]?.recipient || ''),
          message.recipients.length > 1 ? ` and ${plural(message.recipients.length - 1, 'more recipient', 'more recipients')}` : ''),
        h('dl', {class: 'facts'}, fact('Accepted', `${clock(message.received)} (${shortSpan(Math.round(ageOf(message.received)))} ago)`),
          fact('Size', bytes(message.size)), fact('From client', message.client ? foreign(message.client) : 'the relay itself'),
          fact('Came by', message.connector ? foreign(message.connector) : '–'),
          message.message_id ? fact('Message-ID', foreign(message.message_id)) : null,
          message.user ? fact('User', foreign(message.user)) : null,
          fact('Attempts', number(message.attempts)), message.ended ? fact('Ended', clock(message.ended)) : null),
        queued ? h('div', {class: 'buttons start'}, messageButtons(['retry', 'hold', 'release', 'bounce', 'discard'], target, () => this.load()),
          h('button', {type: 'button', onclick: () => download(path('messages', this.id, 'content'), `${this.id}.eml`)}, 'Save as .eml')) : null),
      h('section', {class: 'panel', 'aria-label': 'Its life'}, h('h2', {}, 'Its life'),
        h('ol', {class: 'life'}, message.events.map((event, at) => eventItem(event, message.events[at - 1])),
          queued ? queued.recipients.slice(0, 20).map(futureItem) : null)),
      h('section', {class: 'panel', 'aria-label': 'Recipients'}, h('h2', {}, plural(message.recipients.length, 'recipient')),
        h('ul', {class: 'recipients'}, message.recipients.slice(0, 200).map((recipient) => h('li', {},
          chip(recipient.state), ' ', foreign(recipient.recipient), ' ',
          recipient.destination ? h('a', {href: linkTo(recipient.destination), class: 'note'}, foreign(recipient.destination)) : null,
          recipient.last_reply ? h('p', {class: 'cite-line'}, foreign(recipient.last_reply, 'cite')) : null))),
        message.recipients.length > 200 ? h('p', {class: 'note'}, `and ${number(message.recipients.length - 200)} more`) : null));
  }
}


