// Is all well, and if not, what hurts? The first page.
import {h, setText} from './dom.js';
import {Chart, Columns, StackedBar} from './chart.js';
import {bytes, depth, number, plural, rate, shortSpan, span, ageOf} from './words.js';
import {destinationTable} from './destinations.js';

const STATES = [
  {name: 'ready', label: 'ready', class: 'ready', says: 'wait for a connection'},
  {name: 'active', label: 'active', class: 'active', says: 'are being delivered'},
  {name: 'deferred', label: 'deferred', class: 'deferred', says: 'wait for their next attempt'},
  {name: 'held', label: 'held', class: 'held', says: 'are held by hand'},
];
const HURTS = 25;  // of 100: from here on a destination is worth a look
const LISTED = 8;  // destinations on this page

function tile(title, hint, ...content) {
  return h('section', {class: 'tile', 'aria-label': title, title: hint}, h('h2', {}, title), ...content);
}

// A number with a line of words and the last minutes below.
class Gauge {
  constructor(title, hint, line) {
    this.value = h('p', {class: 'figure'}, '–');
    this.note = h('p', {class: 'note'});
    this.chart = new Chart([{name: line, class: 'one'}]);
    this.element = tile(title, hint, this.value, this.note, this.chart.element);
    this.element.classList.add('small');
  }

  show(value, note, points, mood = '') {
    setText(this.value, value);
    setText(this.note, note);
    this.element.dataset.mood = mood;
    this.chart.draw(points);
  }
}

export class Overview {
  constructor(history) {
    this.history = history;
    this.verdict = h('h1', {class: 'verdict'}, 'Asking the relay …');
    this.detail = h('p', {class: 'detail'});
    this.makeTraffic();
    this.makeQueue();
    this.delay = new Gauge('Delivery delay', 'From our 250 to the destination’s; of the last minute.', 'delay');
    this.commit = new Gauge('Commit time', 'One group commit with its disk sync; of the last minute.', 'commit');
    this.dns = new Gauge('DNS', 'Look-ups that were not in the cache; of the last minute.', 'dns');
    this.memory = new Gauge('Memory', 'Resident memory of the process.', 'memory');
    this.disk = new Gauge('Disk free', 'On the file system of the queue.', 'disk');
    this.connections = new Gauge('Connections', 'SMTP, from clients and to destinations.', 'connections');
    this.hurting = destinationTable('Destinations, those that hurt most first',
      'No mail waits for any destination.');
    this.more = h('a', {href: '#/destinations'}, 'All destinations');
    this.element = h('div', {class: 'overview'},
      h('div', {class: 'head'}, this.verdict, this.detail),
      h('div', {class: 'tiles'}, this.traffic, this.queue, this.delay.element, this.commit.element,
        this.dns.element, this.memory.element, this.disk.element, this.connections.element),
      h('section', {class: 'panel', 'aria-label': 'What hurts'},
        h('div', {class: 'panel-head'}, h('h2', {}, 'What hurts'), this.more), this.hurting.element));
    if (history.samples.length) this.show();
  }

  makeTraffic() {
    this.inRate = h('span', {class: 'figure'}, '–');
    this.outRate = h('span', {class: 'figure'}, '–');
    this.trafficNote = h('p', {class: 'note'});
    this.trafficChart = new Chart([{name: 'in', class: 'in'}, {name: 'out', class: 'out'}], {height: 96, grid: true});
    this.traffic = tile('Traffic', 'Messages accepted, and recipients delivered, a second.',
      h('div', {class: 'pair'},
        h('p', {}, h('span', {class: 'key in', 'aria-hidden': 'true'}), this.inRate, h('span', {class: 'unit'}, ' in a second')),
        h('p', {}, h('span', {class: 'key out', 'aria-hidden': 'true'}), this.outRate, h('span', {class: 'unit'}, ' out a second'))),
      this.trafficChart.element, this.trafficNote);
    this.traffic.classList.add('large');
  }

  makeQueue() {
    this.queued = h('span', {class: 'figure'}, '–');
    this.queuedNote = h('span', {class: 'unit'});
    this.bar = new StackedBar(STATES);
    this.counts = Object.fromEntries(STATES.map((state) => [state.name, h('b', {}, '–')]));
    this.ages = new Columns();
    this.agesTitle = h('h3', {}, 'Messages by age');
    this.queue = tile('Queue', 'Recipients by state, messages by the time since they were accepted.',
      h('p', {}, this.queued, ' ', this.queuedNote), this.bar.element,
      h('ul', {class: 'legend'}, STATES.map((state) =>
        h('li', {title: `${state.label}: they ${state.says}`}, h('span', {class: `key ${state.class}`, 'aria-hidden': 'true'}),
          this.counts[state.name], ' ', state.label))),
      this.agesTitle, this.ages.element);
    this.queue.classList.add('large');
  }

  show() {
    const sample = this.history.samples.at(-1);
    const points = this.history.points;
    this.showVerdict(sample);
    setText(this.inRate, rate(this.history.rate('accepted')));
    setText(this.outRate, rate(this.history.rate('delivered')));
    this.trafficChart.draw(points, '/s');
    setText(this.trafficNote, this.failures());
    this.showQueue(sample);
    this.showGauges(sample, points);
    this.hurting.show(sample.hurting.filter((queue) => depth(queue) > 0 || queue.state === 'suspended').slice(0, LISTED));
    setText(this.more, sample.destinations > 0 ? `All ${plural(sample.destinations, 'destination')}` : 'All destinations');
  }

  showVerdict(sample) {
    const {status} = sample;
    const hurting = sample.hurting.filter((queue) => queue.hurt >= HURTS).length;
    let mood = 'good';
    let words = 'All is well.';
    if (status.draining) [mood, words] = ['warn', 'The relay is shutting down.'];
    else if (!status.ready) [mood, words] = ['bad', `Not ready: ${status.why_not_ready || 'starting'}.`];
    else if (status.store.quarantined_messages > 0) {
      [mood, words] = ['bad', `${plural(status.store.quarantined_messages, 'message')} cannot be read from the disk.`];
    } else if (hurting > 0) {
      const many = hurting === sample.hurting.length ? `${hurting} or more` : number(hurting);
      [mood, words] = ['warn', hurting === 1 ? 'One destination needs a look.' : `${many} destinations need a look.`];
    }
    setText(this.verdict, words);
    this.verdict.dataset.mood = mood;
    const oldest = ageOf(status.oldest);
    setText(this.detail, [
      status.messages > 0 ? `${plural(status.messages, 'message')} queued` : 'Nothing is queued',
      Number.isFinite(oldest) && status.messages > 0 ? `the oldest for ${span(Math.round(oldest))}` : '',
      `up for ${span(status.uptime)}`,
      status.store.counted ? '' : 'still counting after the start',
    ].filter(Boolean).join(' · '));
  }

  failures() {
    const parts = [['deferred', 'deferred'], ['bounced', 'bounced'], ['expired', 'expired'], ['refused', 'refused'], ['shed', 'turned away']]
      .map(([name, words]) => [this.history.rate(name, 60) * 60, words])
      .filter(([value]) => value >= 0.5).map(([value, words]) => `${number(value)} ${words}`);
    return parts.length ? `In the last minute: ${parts.join(', ')}.` : 'Nothing was deferred, bounced or refused in the last minute.';
  }

  showQueue(sample) {
    const states = sample.status.recipients;
    const total = states.ready + states.active + states.deferred + states.held;
    setText(this.queued, number(total));
    setText(this.queuedNote, `${total === 1 ? 'recipient' : 'recipients'} in ${plural(sample.status.messages, 'message')}`);
    this.bar.draw(states);
    for (const state of STATES) setText(this.counts[state.name], number(states[state.name]));
    const ages = sample.ages || [];
    this.agesTitle.hidden = this.ages.element.hidden = ages.length === 0;
    this.ages.draw(ages.map((bucket, at) => ({
      label: bucket.up_to ? `<${shortSpan(bucket.up_to)}` : `≥${shortSpan(ages[at - 1].up_to)}`,
      value: bucket.messages,
      text: number(bucket.messages),
    })));
  }

  showGauges(sample, points) {
    const q = (name, share) => this.history.quantile(name, share);
    const seen = (name) => Number.isFinite(q(name, 0.5));
    const delay = q('delay', 0.95);
    this.delay.show(span(delay), seen('delay') ? `95 of 100; half within ${span(q('delay', 0.5))}, 99 within ${span(q('delay', 0.99))}` : 'nothing delivered in the last minute', points);
    const commit = q('commit', 0.99);
    this.commit.show(span(commit), seen('commit') ? `99 of 100; half within ${span(q('commit', 0.5))}` : 'nothing committed in the last minute', points, commit > 0.1 ? 'warn' : '');
    const failing = this.history.dnsFailures();
    this.dns.show(span(q('dns', 0.95)), !seen('dns') ? 'nothing looked up in the last minute'
      : failing > 0.005 ? `95 of 100; ${Math.round(failing * 100)} of 100 fail` : '95 of 100; none fails', points, failing > 0.2 ? 'bad' : '');
    this.memory.show(bytes(sample.memory_bytes), `${bytes(sample.status.store.content_bytes)} of it message content`, points);
    this.disk.show(bytes(sample.status.store.disk_free_bytes), sample.status.store.space ? 'more than the reserve' : 'below the reserve: mail is refused', points, sample.status.store.space ? '' : 'bad');
    this.connections.show(number(sample.connections.in + sample.connections.out), `${number(sample.connections.in)} in, ${number(sample.connections.out)} out`, points);
  }
}
