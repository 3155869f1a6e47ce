// What would this act touch, and shall it? Every act by hand shows first what it means, how many
// messages it is about and some of them, and says afterwards what was done.
import {h, fill, foreign, icon, setText} from './dom.js';
import {get, path, post} from './api.js';
import {ago, number, plural} from './words.js';

const SHOWN = 5;  // messages named in a preview

// Of messages. `many` begins a sentence that ends in what is meant.
const onMessages = {
  retry: {title: 'Retry now', does: 'What is deferred is tried now, and hosts that rest are tried at once.'},
  hold: {title: 'Hold', does: 'Nothing is tried until it is released; an attempt under way is finished first.'},
  release: {title: 'Release', does: 'What is held is ready again.'},
  bounce: {title: 'Bounce', danger: true, does: 'They end here, and each sender gets a failure notice. This cannot be undone.'},
  discard: {title: 'Discard', danger: true, does: 'They end here, and nobody is told. This cannot be undone.'},
};

// Of a destination.
const onDestination = {
  retry: {title: 'Retry now', does: 'What is deferred for it is tried now, and its hosts need not rest any longer.'},
  suspend: {title: 'Suspend', does: 'Nothing more is tried for it, over restarts too, until it is resumed. New mail is still accepted and waits.'},
  resume: {title: 'Resume', does: 'Delivery to it begins again.'},
};

export function say(text, mood = 'good') {
  const place = document.getElementById('said');
  const line = h('p', {class: `toast ${mood}`}, text);
  place.append(line);
  setTimeout(() => line.remove(), mood === 'bad' ? 12_000 : 6_000);
}

function button(name, what, onclick, label) {
  return h('button', {type: 'button', class: what.danger ? 'danger' : '', onclick}, icon(name), label || what.title);
}

export function messageButtons(names, target, done) {
  return names.map((name) => button(name, onMessages[name], () => askMessages(name, target(), done)));
}

export function destinationButtons(names, destination, done) {
  return names.map((name) => button(name, onDestination[name], () => askDestination(name, destination, done)));
}

// The filters in words: "for example.net, deferred, older than 4h"
function inWords(target) {
  if (target.ids) return plural(target.ids.length, 'message');
  const words = {destination: 'for', recipient: 'to', sender: 'from', state: 'that are', older_than: 'older than'};
  const parts = Object.entries(target).filter(([name]) => words[name])
    .map(([name, value]) => [` ${words[name]} `, foreign(value)]);
  return parts.length ? ['all messages', parts] : 'all messages in the queue';
}

const samplesOf = (target) => (target.ids
  ? Promise.all(target.ids.slice(0, SHOWN).map((id) => get(path('messages', id)).catch(() => null)))
    .then((items) => ({items: items.filter(Boolean), next: null}))
  : get('messages', {...target, all: null, limit: SHOWN}));

function sampleList(page, matched) {
  if (!page.items.length) return h('p', {class: 'note'}, 'Nothing in the queue matches now.');
  return h('div', {},
    h('ul', {class: 'samples'}, page.items.map((message) => h('li', {},
      foreign(message.sender), ' → ', foreign(message.recipients[0]?.recipient || ''),
      message.recipients.length > 1 ? ` and ${number(message.recipients.length - 1)} more` : '',
      h('span', {class: 'note'}, ` ${message.state}, ${ago(message.received)}`)))),
    matched > page.items.length ? h('p', {class: 'note'}, `and ${number(matched - page.items.length)} more`) : null);
}

// How many it is about, without touching them: {matched, more}. A relay that knows no dry run is asked
// for a list, which tells up to a thousand.
async function countOf(name, target) {
  try {
    return await post(path('messages', name), {...target, dry_run: true});
  } catch (error) {
    if (error.status !== 400) throw error;
  }
  if (target.ids) return {matched: target.ids.length};
  const page = await get('messages', {...target, all: null, limit: 1000});
  return {matched: page.items.length, more: Boolean(page.next)};
}

function dialog(what, sentence, confirm) {
  const preview = h('div', {class: 'preview', role: 'status'}, h('p', {class: 'note'}, 'Counting …'));
  const go = h('button', {type: 'submit', class: what.danger ? 'danger strong' : 'strong', disabled: true}, what.title);
  const cancel = h('button', {type: 'button', onclick: () => box.close()}, 'Cancel');
  const title = h('h2', {id: 'act-title'}, what.title, ' ', sentence);
  const box = h('dialog', {'aria-labelledby': 'act-title', 'aria-describedby': 'act-does', onclose: () => box.remove()},
    h('form', {method: 'dialog', onsubmit: async (event) => {
      event.preventDefault();
      go.disabled = cancel.disabled = true;
      try {
        await confirm();
        box.close();
      } catch (error) {
        cancel.disabled = go.disabled = false;
        fill(preview, h('p', {class: 'bad', role: 'alert'}, `It was not done: ${error.message}.`));
      }
    }}, title, h('p', {id: 'act-does'}, what.does), preview, h('div', {class: 'buttons'}, cancel, go)));
  document.body.append(box);
  box.showModal();
  cancel.focus();
  return {preview, go, failed: (error) => fill(preview, h('p', {class: 'bad', role: 'alert'}, `It cannot be said what it would touch: ${error.message}.`))};
}

async function askMessages(name, target, done) {
  const what = onMessages[name];
  const body = Object.keys(target).length ? target : {all: true};
  const shown = dialog(what, inWords(target), async () => {
    const result = await post(path('messages', name), body);
    say(`${what.title}: ${plural(result.matched, 'message')} matched, ${number(result.changed)} changed.`);
    done();
  });
  try {
    const [counted, page] = await Promise.all([countOf(name, body), samplesOf(body)]);
    const many = counted.more ? `more than ${plural(counted.matched, 'message')}` : plural(counted.matched, 'message');
    fill(shown.preview, h('p', {class: 'count'}, h('b', {}, many), counted.matched === 1 ? ' is touched:' : ' are touched:'),
      sampleList(page, counted.matched));
    setText(shown.go, counted.matched === 1 ? `${what.title} it` : `${what.title}: ${many}`);
    shown.go.disabled = counted.matched === 0;
  } catch (error) {
    shown.failed(error);
  }
}

async function askDestination(name, destination, done) {
  const what = onDestination[name];
  const shown = dialog(what, foreign(destination), async () => {
    const result = await post(path('queues', destination, name), {});
    say(name === 'retry' ? `Retry now: ${plural(result.matched, 'message')} matched, ${number(result.changed)} changed.`
      : result.changed ? `${what.title}: done.` : `${what.title}: nothing changed, it was so already.`);
    done();
  });
  try {
    const [queue, page] = await Promise.all([get(path('queues', destination)), get('messages', {destination, limit: SHOWN})]);
    const total = queue.ready + queue.active + queue.deferred + queue.held;
    fill(shown.preview, h('p', {class: 'count'}, h('b', {}, plural(total, 'recipient')), ` queued for it: ${number(queue.ready)} ready, ${number(queue.active)} active, ${number(queue.deferred)} deferred, ${number(queue.held)} held.`),
      sampleList(page, page.items.length));
    shown.go.disabled = false;
  } catch (error) {
    shown.failed(error);
  }
}
